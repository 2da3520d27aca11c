# Greets the file that was dropped. Reads the S3 event from stdin; stderr is the log, stdout the answer.
event=$(cat)
key=$(printf '%s' "$event" | sed 's/.*"object":{"key":"\([^"]*\)".*/\1/')
size=$(printf '%s' "$event" | sed 's/.*"size":\([0-9]*\).*/\1/')
echo "$key has arrived" >&2
printf '{"hello":"%s","bytes":%s}\n' "$key" "$size"
