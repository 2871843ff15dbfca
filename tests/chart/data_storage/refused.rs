//! Values with which the chart would not work, or would be unsafe by accident.

use anyhow::Result;
use e2e::chart::{DATA_STORAGE, Helm};

use super::SMALLEST;
use crate::rendered::refused;

#[test]
fn what_an_installation_needs_is_asked_for_by_name() -> Result<()> {
    let Some(helm) = Helm::find_for(DATA_STORAGE)? else { return Ok(()) };
    let tls = "tls: {enabled: false}";
    let database = "database: {urlSecret: {name: service}}";
    for (values, named) in [
        ("{}".to_owned(), "tls.secretName is empty; set it to a Secret"),
        ("tls: {certManager: {enabled: true}}".to_owned(), "tls.certManager.issuerRef has no name"),
        (tls.to_owned(), "database.url and database.urlSecret are empty; set database.urlSecret"),
        (format!("{tls}\n{database}"), "the credential of the owner of the tables is missing; set migration.urlSecret"),
        (
            format!("{tls}\n{database}\nmigration: {{url: 'postgresql://owner@pg/d'}}"),
            "the credential of the owner of the tables is missing",
        ),
        (
            format!("{tls}\n{database}\nmigration: {{urlSecret: {{name: owner}}}}"),
            "migration.serviceRole is empty, and the user is not in database.url; set migration.serviceRole",
        ),
    ] {
        refused(&helm, &values, named)?;
    }
    helm.template(SMALLEST)?;
    // One credential for everything is possible, if somebody says so.
    helm.template(&format!("{tls}\n{database}\nmigration: {{by: Service}}"))?;
    helm.template(&format!("{tls}\n{database}\nmigration: {{by: Manual}}"))?;
    Ok(())
}

#[test]
fn a_password_in_a_value_is_refused() -> Result<()> {
    let Some(helm) = Helm::find_for(DATA_STORAGE)? else { return Ok(()) };
    let service = "{tls: {enabled: false}, migration: {by: Service}, database: {url: 'postgresql://a:b@pg/d'}}";
    refused(&helm, service, "database.url contains a password")?;
    let owner = "{tls: {enabled: false}, database: {urlSecret: {name: s}}, migration: {url: 'postgresql://a:b@pg/d', \
                 passwordSecret: {name: o}, serviceRole: s}}";
    refused(&helm, owner, "migration.url contains a password, which everyone with access to Pods could read")
}

#[test]
fn contradictions_are_refused() -> Result<()> {
    let Some(helm) = Helm::find_for(DATA_STORAGE)? else { return Ok(()) };
    for (values, named) in [
        ("database: {urlSecret: {name: s}}", "database.url and database.urlSecret are both set"),
        ("migration: {url: 'postgresql://o@pg/d'}", "migration.url and migration.urlSecret are both set"),
        ("database: {tls: verify-full}", "database.tls is verify-full, but database.caSecret is not set"),
        (
            "chain: {keys: [{id: 1, secret: {name: a, key: b}}, {id: 1, secret: {name: c, key: d}}]}",
            "chain.keys contains the id 1 more than once",
        ),
        ("embedding: {provider: http}", "embedding.url is empty"),
        ("{embedding: {provider: http, url: 'http://tei'}, vector: 'off'}", "there is no table for the vectors"),
    ] {
        let file = helm.values(SMALLEST)?;
        let smallest = file.with_file_name("smallest.yaml");
        std::fs::rename(file, &smallest)?;
        let both = helm.template_of(&DATA_STORAGE.folder(), values, ["--values", &smallest.to_string_lossy()]);
        let error = format!("{:#}", both.err().unwrap_or_else(|| anyhow::anyhow!("{values} is accepted")));
        anyhow::ensure!(error.contains(named), "{values}: not {named:?} but {error}");
    }
    Ok(())
}

#[test]
fn a_misspelt_or_mistyped_value_is_refused() -> Result<()> {
    let Some(helm) = Helm::find_for(DATA_STORAGE)? else { return Ok(()) };
    for (values, named) in [
        ("replicas: 2", "'replicas' not allowed"),
        ("database: {password: secret}", "at '/database': additional properties 'password'"),
        ("database: {url: 'mysql://pg'}", "at '/database/url'"),
        ("database: {tls: prefer}", "at '/database/tls'"),
        ("migration: {by: Hand}", "at '/migration/by'"),
        ("chain: {keys: [{id: 0, secret: {name: a, key: b}}]}", "at '/chain/keys/0/id'"),
        ("chain: {keys: [{id: 1}]}", "at '/chain/keys/0': missing property 'secret'"),
        ("embedding: {provider: local}", "at '/embedding/provider'"),
        ("networkPolicy: {clientNamespaces: [Not_A_Name]}", "at '/networkPolicy/clientNamespaces/0'"),
        ("image: {digest: latest}", "at '/image/digest'"),
        ("log: {level: nonsense}", "at '/log/level'"),
    ] {
        refused(&helm, values, named)?;
    }
    Ok(())
}
