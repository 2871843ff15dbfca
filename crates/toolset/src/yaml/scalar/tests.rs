use super::*;

fn value(text: &str) -> Node {
    value_of(type_of(text), text).unwrap()
}

#[test]
fn plain_scalars_have_the_type_that_the_agents_reader_gives_them() {
    let table: [(Type, &[&str]); 8] = [
        (Type::Null, &["", "~", "null", "Null", "NULL"]),
        (Type::Bool, &["yes", "No", "TRUE", "false", "On", "OFF"]),
        (Type::Int, &["0", "-1", "+12", "010", "0_", "1_000", "0b101", "-0x1F", "1:30", "190:20:30", "0x_", "0b_"]),
        (Type::Float, &["1.", "-0.5", ".5", "1_0.0", "1.0e+3", ".5e-1", "1:30.5", ".inf", "-.Inf", "+.INF", ".nan"]),
        (Type::Timestamp, &["2020-01-01", "2020-13-45", "2001-1-1 1:02:03", "2001-12-14t21:59:43.10-05:00"]),
        (Type::Merge, &["<<"]),
        (Type::Value, &["="]),
        (
            Type::Text,
            &[
                "1e3",
                "1.0e3",
                "12e45",
                "08",
                "0o17",
                "-.5",
                "+.5",
                "1.0e+",
                "0x",
                "0b",
                "0b2",
                "0:30",
                "1:60",
                "1:3:",
                "+.nan",
                "-.nan",
                "nAn",
                "y",
                "n",
                "yEs",
                "nUll",
                "2020-1-1",
                "2020-01-01 ",
                "12:30:45 ",
                "1.2.3",
                "_1",
                "1,000",
                "+",
                "-",
                ".",
                "..",
                "<",
                "<<<",
                "==",
                "é",
                "2020-01-01T1",
                "0777_8",
                "1__e",
            ],
        ),
    ];
    for (type_, texts) in table {
        for text in texts {
            assert_eq!(type_of(text), type_, "{text:?}");
        }
    }
}

#[test]
fn numbers_have_the_value_that_the_agents_reader_gives_them() {
    let ints = [
        ("010", 8),
        ("-010", -8),
        ("1:30", 90),
        ("-1:30", -90),
        ("190:20:30", 685_230),
        ("0x1F", 31),
        ("+0b1_01", 5),
        ("1_000", 1000),
        ("0_", 0),
        ("-0", 0),
        ("123456789012345678901234567890", 123_456_789_012_345_678_901_234_567_890),
    ];
    for (text, number) in ints {
        assert_eq!(value(text), Node::Int(number), "{text}");
    }
    let floats = [
        ("1.", 1.0),
        (".5", 0.5),
        ("1_0.5_0", 10.5),
        ("1.0e+3", 1000.0),
        ("1:30.5", 90.5),
        ("-.inf", f64::NEG_INFINITY),
        ("1.0e+999", f64::INFINITY),
    ];
    for (text, number) in floats {
        assert_eq!(value(text), Node::Float(number), "{text}");
    }
    assert!(matches!(value(".NaN"), Node::Float(number) if number.is_nan()));
}

#[test]
fn what_has_no_other_notation_keeps_its_text_and_gets_a_tag() {
    let beyond = "170141183460469231731687303715884105728";
    assert_eq!(value(beyond), tagged(Tag::Int, beyond));
    let hexadecimal = format!("0x{}", "F".repeat(5000));
    assert_eq!(value(&hexadecimal), tagged(Tag::Int, &hexadecimal));
    let sixties = format!("9{}", ":59".repeat(40));
    assert_eq!(value(&sixties), tagged(Tag::Int, &sixties));
    assert_eq!(value("2024-02-29"), tagged(Tag::Timestamp, "2024-02-29"));
    assert_eq!(value_of(Type::Binary, "aGVs\nbG8="), Ok(tagged(Tag::Binary, "aGVs\nbG8=")));
}

#[test]
fn what_the_agents_reader_refuses_has_no_value() {
    let many = "1".repeat(5000);
    let plain = [
        "=",
        "<<",
        "0b_",
        "-0x_",
        &many,
        "2020-13-01",
        "2020-00-01",
        "2023-02-29",
        "1900-02-29",
        "0000-01-01",
        "2020-01-01 24:00:00",
        "2020-01-01 00:60:00",
        "2020-01-01 00:00:60",
        "2020-01-01 00:00:00 +24",
    ];
    for text in plain {
        assert!(value_of(type_of(text), text).is_err(), "{text}");
    }
    let with_a_tag = [
        (Type::Int, "3.0"),
        (Type::Int, ""),
        (Type::Int, "_"),
        (Type::Int, "08"),
        (Type::Int, "0:30"),
        (Type::Float, ""),
        (Type::Float, "."),
        (Type::Float, "1:x"),
        (Type::Bool, "maybe"),
        (Type::Timestamp, "today"),
        (Type::Binary, "x"),
        (Type::Binary, "===="),
    ];
    for (type_, text) in with_a_tag {
        assert!(value_of(type_, text).is_err(), "{type_:?} {text:?}");
    }
}

#[test]
fn a_tag_makes_other_texts_values() {
    assert_eq!(value_of(Type::Text, "1"), Ok(Node::from("1")));
    assert_eq!(value_of(Type::Int, "0o17"), Ok(Node::Int(15)));
    assert_eq!(value_of(Type::Float, "1e3"), Ok(Node::Float(1000.0)));
    assert_eq!(value_of(Type::Float, "inf"), Ok(Node::Float(f64::INFINITY)));
    assert_eq!(value_of(Type::Bool, "YeS"), Ok(Node::Bool(true)));
    assert_eq!(value_of(Type::Null, "x"), Ok(Node::Null));
    assert_eq!(value_of(Type::Timestamp, "2020-1-1"), Ok(tagged(Tag::Timestamp, "2020-1-1")));
}
