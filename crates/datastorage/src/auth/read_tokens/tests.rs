use super::*;

const ONE: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"; // test
const OTHER: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"; // test2

fn problem(text: &str) -> String {
    format!("{:#}", parse(text).unwrap_err())
}

#[test]
fn each_line_names_a_token_by_its_hash_and_what_it_may_read() {
    let table = parse(&format!("# agents\n\nholmesgpt {ONE} prod,staging # on call\nall\t{OTHER}\t*\n")).unwrap();
    let names: Vec<_> = table.values().map(|reader| &*reader.name).collect();
    assert_eq!(names.len(), 2);
    let reader = &table[&hexadecimal(ONE).unwrap()];
    assert_eq!(&*reader.name, "read-token:holmesgpt");
    assert_eq!(reader.scope, Scope::Namespaces(vec!["prod".to_owned(), "staging".to_owned()]));
    assert_eq!(table[&hexadecimal(OTHER).unwrap()].scope, Scope::Cluster);
}

#[test]
fn a_mistake_is_told_by_its_line_without_quoting_it() {
    let hash = "line 2: the second word must be the SHA-256 of the token, which has 64 hexadecimal digits";
    assert_eq!(problem("\nholmesgpt my-secret-token *"), hash);
    assert_eq!(problem(&format!("\nholmesgpt {} *", "é".repeat(32))), hash);
    assert!(problem("holmesgpt").starts_with("line 1: expected three words"));
    assert!(problem(&format!("a {ONE} prod staging")).starts_with("line 1: expected three words"));
    assert!(problem(&format!("a {ONE} prod,")).starts_with("line 1: the third word must be"));
    assert!(problem(&format!("a {ONE} Prod")).starts_with("line 1: the third word must be"));
    assert!(problem(&format!("a/b {ONE} *")).starts_with("line 1: the name must have"));
    assert_eq!(problem(&format!("a {ONE} *\nb {ONE} prod")), "line 2: the line has the same token as another line");
}

#[tokio::test]
async fn a_changed_file_counts_from_the_next_request_and_a_bad_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    fs::write(&path, format!("holmesgpt {ONE} prod\n")).unwrap();
    let tokens = ReadTokens::with(&path, Duration::ZERO).unwrap();
    assert!(tokens.find("test").await.is_some());
    assert!(tokens.find("test2").await.is_none());

    fs::write(&path, "holmesgpt nonsense\n").unwrap();
    assert!(tokens.find("test").await.is_some());
    fs::remove_file(&path).unwrap();
    assert!(tokens.find("test").await.is_some());

    fs::write(&path, format!("other {OTHER} *\n")).unwrap();
    assert!(tokens.find("test2").await.is_some());
    assert!(tokens.find("test").await.is_none());
}

#[test]
fn a_file_that_is_missing_or_wrong_at_the_start_is_an_error_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let error = |path| format!("{:#}", ReadTokens::load(path).err().unwrap());
    assert!(error(&path).starts_with(&format!("--read-token-file {}: ", path.display())));
    fs::write(&path, "x").unwrap();
    assert!(error(&path).contains(": line 1: expected three words"));
}
