//! Forms, cut in every way.

use super::*;

/// Names and contents found in `content` when it arrives in pieces of `step`.
fn read(content: &[u8], step: usize) -> Result<Vec<(String, Vec<u8>)>, Refusal> {
    let mut form = Form::new(b"multipart/form-data; boundary=AaB").expect("a boundary");
    let mut input = Buffer::default();
    let mut name = FileName::default();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut pieces = content.chunks(step);
    let mut is_open = false;
    loop {
        match form.next(&mut input, &mut name) {
            Step::Begin => {
                assert!(!std::mem::replace(&mut is_open, true));
                files.push((name.to_string(), Vec::new()));
            }
            Step::Write(len) => {
                assert!(is_open && (1..=form.held()).contains(&len));
                let (_, file) = files.last_mut().expect("a file");
                file.extend_from_slice(&input.filled()[..len]);
                input.consume(len);
                form.written(len);
            }
            Step::End => assert!(std::mem::replace(&mut is_open, false)),
            Step::Refuse(refusal) => return Err(refusal),
            Step::Incomplete => match pieces.next() {
                Some(piece) => {
                    let waiting = form.held();
                    assert!(waiting <= PART_HEAD_BYTES, "{waiting} bytes wait");
                    input.push(piece);
                    form.hold(piece.len());
                }
                None => return form.end().map(|()| files),
            },
        }
    }
}

fn part(filename: &str, content: &str) -> String {
    format!(
        "--AaB\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\
         Content-Type: text/plain\r\n\r\n{content}\r\n"
    )
}

fn file(name: &str, content: &str) -> (String, Vec<u8>) {
    (name.to_owned(), content.as_bytes().to_vec())
}

#[test]
fn files_are_found_however_they_arrive() {
    let tricky = "\r\n--Aa\r\n--\r\r\n\r\n--AaC--AaB\n--AaB\r\n-";
    for (content, files) in [
        (format!("{}--AaB--\r\n", part("a", "alpha")), vec![file("a", "alpha")]),
        (format!("{}--AaB--", part("a", "")), vec![file("a", "")]),
        (
            format!("{}{}--AaB--", part("a", tricky), part("b", "\r\n")),
            vec![file("a", tricky), file("b", "\r\n")],
        ),
        (
            format!("preamble --AaB\r\n{}--AaB--\r\nepilogue --AaB\r\n", part("a", "x")),
            vec![file("a", "x")],
        ),
        (format!("\r\n{}--AaB--", part("a", "x")), vec![file("a", "x")]),
        (part("a", "x").replace("--AaB\r\n", "--AaB \t \r\n") + "--AaB--", vec![file("a", "x")]),
        (
            format!(
                "--AaB\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n\
                 --AaB\r\n\r\n\r\n--AaB\r\nX: y\r\n\r\n\r\n{}{}--AaB--",
                part("", ""),
                part("C:\\fakepath\\../a/b c", "x")
            ),
            vec![file("b c", "x")],
        ),
    ] {
        for step in 1..=content.len() {
            assert_eq!(read(content.as_bytes(), step), Ok(files.clone()), "in steps of {step}");
        }
    }
}

#[test]
fn faulty_forms_are_refused_however_they_arrive() {
    let disposition = "Content-Disposition: form-data; filename=a\r\n";
    let long_head = format!("--AaB\r\n{disposition}X: {}\r\n\r\n", "x".repeat(9000));
    let many_fields = format!("--AaB\r\n{disposition}{}\r\n", "X: y\r\n".repeat(16));
    for content in [
        "",
        "--AaB",
        "--AaB--",
        "--AaBc\r\n",
        "--AaB-\r\n",
        "--AaB\n\n",
        "no delimiter",
        "--AaB\r\nContent-Disposition: form-data; filename=a\r\n\r\nbreaks off",
        "--AaB\r\nContent-Disposition: form-data; filename=a\r\n\r\nx\r\n--AaBc",
        "--AaB\r\nContent-Disposition: form-data; filename=a\r\n\r\nx\r\n--AaB\r\n",
        "--AaB\r\nContent-Disposition: form-data; filename=a\n\nx\r\n\r\n--AaB--",
        "--AaB\r\nContent-Disposition: form-data; filename=a\r\n folded\r\n\r\nx\r\n--AaB--",
        "--AaB\r\nContent-Disposition: attachment; filename=a\r\n\r\nx\r\n--AaB--",
        "--AaB\r\nno colon\r\n\r\nx\r\n--AaB--",
        "--AaB\r\nContent-Disposition: form-data; filename=\"a\0\"\r\n\r\nx\r\n--AaB--",
        "--AaB\r\nContent-Disposition: form-data; name=x\r\n\r\nx\r\n--AaB--",
        &long_head,
        &many_fields,
    ] {
        for step in [1, 2, 7, content.len().max(1)] {
            let refused = read(content.as_bytes(), step);
            assert!(matches!(refused, Err(Refusal::Malformed(_))), "{content:?}: {refused:?}");
        }
    }
}

#[test]
fn a_file_before_a_faulty_delimiter_is_not_whole() {
    for line in
        ["--AaBc\r\n", "--AaB -\r\n", "--AaB-\r\n", &("--AaB".to_owned() + &" ".repeat(300))]
    {
        let content = part("a", "x") + line;
        let mut form = Form::new(b"multipart/form-data; boundary=AaB").expect("a boundary");
        let mut input = Buffer::default();
        input.push(content.as_bytes());
        form.hold(content.len());
        let mut name = FileName::default();
        assert_eq!(form.next(&mut input, &mut name), Step::Begin);
        assert_eq!(form.next(&mut input, &mut name), Step::Write(1));
        input.consume(1);
        form.written(1);
        assert_eq!(form.next(&mut input, &mut name), Step::Refuse(MALFORMED), "{line:?}");
    }
}

#[test]
fn names_obey_the_rules_of_names() {
    for name in ["..", ".", "a/", "a\\..", &"x".repeat(256)] {
        let content = part(name, "x") + "--AaB--";
        let refused = read(content.as_bytes(), content.len());
        assert!(matches!(refused, Err(Refusal::Name(_))), "{name}: {refused:?}");
    }
}

#[test]
fn what_is_no_file_is_bounded() {
    let field = |len: usize| {
        let field = format!("--AaB\r\nX: y\r\n\r\n{}\r\n", "x".repeat(len));
        field + &part("a", "x") + "--AaB--"
    };
    assert!(read(field(1_000_000).as_bytes(), 1000).is_ok());
    assert!(matches!(read(field(1_100_000).as_bytes(), 1000), Err(Refusal::Malformed(_))));
    let epilogue = part("a", "x") + "--AaB--" + &"x".repeat(1_100_000);
    assert!(matches!(read(epilogue.as_bytes(), 1000), Err(Refusal::Malformed(_))));
    let many = part("a", "x").repeat(1001) + "--AaB--";
    assert!(matches!(read(many.as_bytes(), 1000), Err(Refusal::Malformed(_))));
}
