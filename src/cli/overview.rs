//! What `dropwire --help` prints: every command in its group, and where to start.

/// The page.
pub const OVERVIEW: &str = "\
dropwire — drop a file, your function runs.  Local event sources for Lambda-style functions.

Run      up        start, and show what happens           down · status
Fire     fire      make a source emit an event            invoke · replay
Look     tail      follow events and logs                 show · why · list · logs
Time     clock     freeze, advance, speed up
Break    dead      dead letters: list, show, redrive
Project  init      a working example in 5 seconds         check · explain · table
Tools    env · aws · completions

Start here:   dropwire up            (works in an empty folder)
              dropwire fire s3 uploads/cat.png --file cat.png
Docs:         dropwire help <command>

Everywhere:   -o pretty|plain|json   --json   --dir DIR   --version
Exit codes:   0 done · 1 failed · 2 wrong usage · 3 the wiring file is wrong · 4 could not start
              5 no server is running here · 6 no such thing · 7 the function failed · 8 time ran out · 130 Ctrl-C
";
