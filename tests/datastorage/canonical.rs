//! The content hash of a record is the same before PostgreSQL and after: `jsonb` changes how values are written, but not
//! what they are.

use anyhow::{Context as _, Result, ensure};
use audit::{Event, Kind, Phase, chain};
use e2e::{datastorage::Database, random::Random};
use serde_json::{Map, Value, json};
use tokio_postgres::Client;

/// How many random values of each sort.
const VALUES: usize = 2_000;

/// What `jsonb` gives back for a text of JSON.
async fn through_jsonb(client: &Client, text: &str) -> Result<String> {
    let row = client.query_one("SELECT $1::text::jsonb::text", &[&text]).await.with_context(|| text.to_owned())?;
    Ok(row.get(0))
}

fn hash(data: &Map<String, Value>) -> chain::Hash {
    let mut event = Event::new(Kind::Execution, "name", "namespace", Phase::Completed, "action", "correlation");
    event.event_id = uuid::Uuid::nil();
    event.occurred_at = jiff::Timestamp::UNIX_EPOCH;
    event.data.clone_from(data);
    chain::content_hash(&event)
}

/// Fails unless the text has the same hash when it comes back, and says where it has not.
async fn is_the_same(client: &Client, text: &str) -> Result<String> {
    let before: Map<String, Value> = serde_json::from_str(text)?;
    // As the service stores it.
    let back = through_jsonb(client, &serde_json::to_string(&before)?).await?;
    let after: Map<String, Value> = serde_json::from_str(&back)?;
    for (name, value) in &before {
        let one =
            |value: Option<&Value>| hash(&[("v".to_owned(), value.cloned().unwrap_or_default())].into_iter().collect());
        ensure!(one(Some(value)) == one(after.get(name)), "{name}: {value} came back as {:?}", after.get(name));
    }
    ensure!(hash(&before) == hash(&after), "{text} came back as {back}");
    Ok(back)
}

#[tokio::test]
async fn the_habits_of_jsonb_change_no_hash() -> Result<()> {
    let database = Database::fresh().await?;
    let client = database.service().await?;
    let text = r#"{"zero":-0,"zero2":-0.0,"e":1e2,"one":1.0,"trailing":1.50,"small":5e-324,"big":-9007199254740992,"e7":1e-7,
        "longer":1,"b":2,"a":3,"é":"\u00e9","nested":[{"z":1,"yy":[1.0,{}]}],"text":"\"\\/\b\f\n\r\t\u007f 😀","n":null}"#;
    let back = is_the_same(&client, text).await?;
    // The habits are there: another order, no negative zero, no exponent.
    ensure!(back.find("\"a\"") < back.find("\"zero\"") && back.contains("\"e\": 100"), "{back}");
    ensure!(back.contains("\"one\": 1.0") && !back.contains("-0"), "{back}");
    Ok(())
}

#[tokio::test]
async fn every_number_that_a_record_may_hold_comes_back_as_the_same_number() -> Result<()> {
    let database = Database::fresh().await?;
    let client = database.service().await?;
    let mut random = Random::new(1, "numbers");
    let mut bits = || (0..4).fold(0_u64, |bits, _| (bits << 16) | random.below(1 << 16) as u64);
    let mut data = Map::new();
    while data.len() < VALUES {
        let number = f64::from_bits(bits());
        if number.abs() <= 9_007_199_254_740_992.0 {
            data.insert(format!("double{}", data.len()), json!(number));
            // Near to whole numbers and to short decimals, where formatters differ.
            data.insert(format!("near{}", data.len()), json!(1.0 + number.fract() / 1e3));
            data.insert(format!("whole{}", data.len()), json!(bits() >> 12));
        }
    }
    is_the_same(&client, &serde_json::to_string(&data)?).await.map(drop)
}

#[tokio::test]
async fn every_character_that_a_record_may_hold_comes_back_as_the_same_character() -> Result<()> {
    let database = Database::fresh().await?;
    let client = database.service().await?;
    let mut random = Random::new(2, "characters");
    let mut data: Map<String, Value> =
        (1..0x800_u32).filter_map(char::from_u32).map(|c| (format!("{c}k"), Value::from(format!("a{c}b")))).collect();
    for _ in 0..VALUES {
        let points = (0..4).filter_map(|_| char::from_u32(u32::try_from(random.below(0x0011_0000)).ok()?));
        let text: String = points.filter(|c| *c != '\0').collect();
        data.insert(text.clone(), Value::from(text));
    }
    is_the_same(&client, &serde_json::to_string(&data)?).await.map(drop)
}
