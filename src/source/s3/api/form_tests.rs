//! Forms, in one piece and in every other way.

use proptest::prelude::*;

use super::*;

/// Reads a body that comes in these pieces: `name=value; … filename: content`, or the failure's code.
fn read(pieces: &[&[u8]], fields_max: usize) -> String {
    let mut form = Form::new("multipart/form-data; boundary=B").expect("it is a form");
    form.fields_max = fields_max;
    let mut content = Vec::new();
    for piece in pieces {
        match form.push(piece) {
            Ok(more) => content.extend(more),
            Err(error) => return error.code.to_owned(),
        }
    }
    match form.finish() {
        Ok(Fields { fields, filename }) => {
            let fields: String = fields.iter().map(|(name, value)| format!("{name}={value}; ")).collect();
            format!("{fields}{filename}: {}", String::from_utf8_lossy(&content))
        }
        Err(error) => error.code.to_owned(),
    }
}

fn check(body: &str, expected: &str) {
    let body = body.replace('\n', "\r\n");
    assert_eq!(read(&[body.as_bytes()], FIELDS_MAX), expected, "{body}");
    let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
    assert_eq!(read(&bytes, FIELDS_MAX), expected, "byte by byte: {body}");
}

const KEY: &str = "--B\nContent-Disposition: form-data; name=\"key\"\n\na/${filename}\n";
const FILE: &str = "--B\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\x\\\"y.txt\"\nContent-Type: text/plain\n\n";

#[test]
fn fields_come_before_the_file() {
    check(&format!("{KEY}{FILE}hello\n\n--\n--B--\n"), "key=a/${filename}; C:\\x\"y.txt: hello\r\n\r\n--");
    check(&format!("preamble\n{KEY}{FILE}\n--B--"), "key=a/${filename}; C:\\x\"y.txt: ");
    check(&format!("{FILE}x\n--B\nanything"), "C:\\x\"y.txt: x");
    check(
        &format!("--B \t\nA: b\ncontent-disposition:form-data;name=k\n\n\n{FILE}x\n--B"),
        "k=; C:\\x\"y.txt: x",
    );
    check(&format!("{KEY}--B--"), "InvalidArgument");
    check(&format!("{KEY}{FILE}x"), "MalformedPOSTRequest");
    check("", "MalformedPOSTRequest");
    check("hello", "MalformedPOSTRequest");
    check("--B\n\nx\n--B--", "MalformedPOSTRequest");
    check("--Bx\n", "MalformedPOSTRequest");
    check("--B\nContent-Disposition: form-data\n\nx\n--B--", "MalformedPOSTRequest");
    let long = KEY.replace("a/", &"a".repeat(FIELDS_MAX));
    check(&format!("{long}{FILE}x\n--B--"), "MaxPostPreDataLengthExceededError");
    check(&"a".repeat(FIELDS_MAX + 1), "MaxPostPreDataLengthExceededError");
}

#[test]
fn the_limit_tells_first_however_the_pieces_come() {
    let check = |body: &[u8], fields_max: usize, expected: &str| {
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!([read(&[body], fields_max), read(&bytes, fields_max)], [expected, expected]);
    };
    // The line end that is taken for granted at the start counts as well.
    check(b"--B--", 7, "InvalidArgument");
    check(b"--B--", 6, "MaxPostPreDataLengthExceededError");
    check(b"--B-x", 6, "MaxPostPreDataLengthExceededError");
    check(b"--Bx", 6, "MalformedPOSTRequest");
    check(b"--Bx", 5, "MaxPostPreDataLengthExceededError");
}

#[test]
fn fields_say_what_headers_would() {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let fields = Fields {
        fields: vec![
            field("Key", "in/${filename}"),
            field("acl", "public-read"),
            field("Content-Type", "image/png"),
            field("x-amz-meta-a", "ü"),
            field("policy", "…"),
        ],
        filename: "C:\\dir\\cat.png".into(),
    };
    assert_eq!(fields.key(), Ok("in/cat.png".to_owned()));
    let headers = fields.headers();
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "x-amz-acl", "x-amz-meta-a"]);
    assert_eq!(Fields::default().key().map_err(|error| error.code), Err("InvalidArgument"));
}

#[test]
fn only_forms_are_read() {
    let check = |kind: &str, expected: Result<&str, &str>| {
        let form = Form::new(kind).map(|form| String::from_utf8_lossy(&form.edge[4..]).into_owned());
        assert_eq!(form.as_deref().map_err(|error| error.code), expected, "{kind}");
    };
    check("multipart/form-data; boundary=abc", Ok("abc"));
    check("Multipart/Form-Data; charset=x; boundary=\"a b\"", Ok("a b"));
    check("multipart/form-data", Err("MalformedPOSTRequest"));
    check("multipart/form-data; boundary=", Err("MalformedPOSTRequest"));
    check("application/x-www-form-urlencoded", Err("PreconditionFailed"));
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        parts in proptest::collection::vec(
            "\r\n|\r|\n|-|--|--B|\r\n--B|--B\r\n|--B--|[a-c ]{1,3}|\
             Content-Disposition: form-data; name=\"(k|file)\"(; filename=\"[a-z]{0,3}\")?\r\n\r\n", 0..14),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        fields_max in 40usize..200,
    ) {
        let body = parts.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
        let whole = read(&[&body], fields_max);
        prop_assert_eq!(read(&pieces, fields_max), whole.clone());
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        prop_assert_eq!(read(&bytes, fields_max), whole);
    }

    #[test]
    fn content_survives(content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), any::<u8>()], 0..200), size in 1usize..20) {
        prop_assume!(find(&content, b"\r\n--B").is_none());
        let head = format!("{KEY}{FILE}").replace('\n', "\r\n");
        let body = [head.as_bytes(), &content, b"\r\n--B--\r\n"].concat();
        let mut form = Form::new("multipart/form-data; boundary=B").expect("it is a form");
        let mut found = Vec::new();
        for piece in body.chunks(size) {
            found.extend(form.push(piece).expect("it is fine"));
        }
        prop_assert_eq!(found, content);
        prop_assert!(form.finish().is_ok());
    }
}
