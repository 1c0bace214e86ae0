//! Tests of `parse`.

use super::*;

fn shape(node: &Node) -> String {
    let tag = node.tag.as_deref().map(|tag| format!("{tag} ")).unwrap_or_default();
    let shape = match &node.kind {
        NodeKind::Scalar { text, style } => match style {
            ScalarStyle::Plain => format!("={text}"),
            ScalarStyle::SingleQuoted => format!("'{text}"),
            ScalarStyle::DoubleQuoted => format!("\"{text}"),
            ScalarStyle::Literal => format!("|{text}"),
            ScalarStyle::Folded => format!(">{text}"),
        },
        NodeKind::Sequence(items) => {
            format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(" "))
        }
        NodeKind::Mapping(entries) => {
            let entries = entries.iter().map(|(k, v)| format!("{}:{}", shape(k), shape(v)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
        }
    };
    format!("{tag}{shape}").replace('\n', "⏎")
}

fn shapes(text: &str) -> String {
    match documents(&SourceFile::new("case.yaml", text)) {
        Ok(documents) => documents.iter().map(shape).collect::<Vec<_>>().join(" --- "),
        Err(error) => format!("line {:?}: {}", error.go_line, error.problem),
    }
}

#[test]
fn nodes_have_the_shape_of_the_text() {
    let cases = [
        ("a: 1\nb:\n- x\n- y\n", "{=a:=1 =b:[=x =y]}"),
        ("a:\n  - b: 1\n    c: 2\n  -\n  - - d\n", "{=a:[{=b:=1 =c:=2} = [=d]]}"),
        ("{a: 1, b, c: [x, y: z, ]}", "{=a:=1 =b:= =c:[=x {=y:=z}]}"),
        ("a: b\n  c\n\n  d\n", "{=a:=b c⏎d}"),
        ("a: |\n  x\n   y\n\nb: >-\n  p\n  q\n\n  r\n", "{=a:|x⏎ y⏎ =b:>p q⏎r}"),
        ("a: |+\n  x\n\n\nb: 1", "{=a:|x⏎⏎⏎ =b:=1}"),
        ("a: \"x\\n\\u00e9\\\n   y\"\nb: 'it''s\n  so'", "{=a:\"x⏎éy =b:'it's so}"),
        ("# c\n---\na: 1 # c\n---\n...\n---\nb", "{=a:=1} --- = --- =b"),
        ("a: &x {b: 1}\nc: *x\n<<: *x", "{=a:{=b:=1} =c:{=b:=1} =<<:{=b:=1}}"),
        ("a: !!str 1\nb: !x\nc: ! d", "{=a:!!str =1 =b:!x = =c:! =d}"),
        ("? a\n: b\n? |\n  c\n: - d", "{=a:=b |c⏎:[=d]}"),
        ("a:b: c\nurl: http://x:1/#y", "{=a:b:=c =url:=http://x:1/#y}"),
        ("\u{feff}a: 1", "{=a:=1}"),
        ("", ""),
        ("# only\n", ""),
    ];
    for (text, expected) in cases {
        assert_eq!(shapes(text), expected, "{text:?}");
    }
}

#[test]
fn errors_are_libyamls() {
    let cases = [
        ("a: b: c", "line None: mapping values are not allowed in this context"),
        ("a: 1\n b: 2", "line Some(2): mapping values are not allowed in this context"),
        ("a: 1\n\tb: 2", "line Some(2): found a tab character that violates indentation"),
        ("x:\n  a: 1\n b: 2", "line Some(2): did not find expected key"),
        ("a: [1, 2\nb: 3", "line Some(1): did not find expected ',' or ']'"),
        ("a: *x", "line None: unknown anchor 'x' referenced"),
        ("a: &x [*x]", "line None: anchor 'x' value contains itself"),
        ("a: 'x", "line None: found unexpected end of stream"),
        ("a\u{1}", "line None: control characters are not allowed"),
        ("- a\n- b\nc: 1", "line Some(2): did not find expected '-' indicator"),
        ("x: @y", "line None: found character that cannot start any token"),
        ("a: 1\nb\nc: 2", "line Some(3): could not find expected ':'"),
    ];
    for (text, expected) in cases {
        assert_eq!(shapes(text), expected, "{text:?}");
    }
}

#[test]
fn spans_are_bytes_also_behind_wide_characters() {
    let file = SourceFile::new("case.yaml", "ä: \"ö\"\nb: [ü, x]\n");
    let documents = parse(&file).expect("it is YAML");
    let NodeKind::Mapping(entries) = &documents[0].kind else { panic!("not a mapping") };
    let text = |node: &Node| file.text[node.span.range.clone()].to_owned();
    assert_eq!(text(&entries[0].0), "ä");
    assert_eq!(text(&entries[0].1), "\"ö\"");
    assert_eq!(text(&entries[1].1), "[ü, x]");
}

#[test]
fn depth_and_aliases_are_bounded() {
    let deep = "[".repeat(YAML_DEPTH_MAX + 1);
    assert!(shapes(&deep).contains("exceeded max depth"));
    let mut laughs = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (name, of) in ('b'..='i').zip('a'..) {
        laughs.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(",")));
    }
    assert!(shapes(&laughs).contains("excessive aliasing"));
}

#[test]
fn a_syntax_error_points_at_its_place() {
    let file = SourceFile::new("case.yaml", "a: 1\n\tb: 2\n");
    let error = parse(&file).expect_err("a tab cannot indent");
    assert_eq!(error.labels[0].span.line_column(), (2, 1));
    assert_eq!(error.help.len(), 1);
}
