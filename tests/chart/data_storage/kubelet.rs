//! What a kubelet does with the Pods of the chart: mounts their volumes and runs their program.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use e2e::datastorage::datastorage;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde_json::Value;

/// Where all volumes are mounted.
const MOUNTED: &str = "/etc/datastorage/";

/// The command of the only container of a Pod, or of the template of one, with its files in a folder instead of
/// `/etc/datastorage`.
pub(super) async fn command(client: Client, namespace: &str, pod: &Value, folder: &Path) -> Result<Command> {
    let secrets: Api<Secret> = Api::namespaced(client, namespace);
    let container = &pod["spec"]["containers"][0];
    for volume in list(&pod["spec"]["volumes"]) {
        let mount = list(&container["volumeMounts"]).find(|mount| mount["name"] == volume["name"]);
        let path = mount.and_then(|mount| mount["mountPath"].as_str()).context("a volume is not mounted")?;
        let path = folder.join(path.strip_prefix(MOUNTED).context("a volume is mounted elsewhere")?);
        fs::create_dir_all(&path)?;
        for (name, content) in files(&secrets, pod, volume).await? {
            fs::write(path.join(name), content)?;
        }
    }
    let here = |value: &Value| -> Result<String> {
        let text = value.as_str().with_context(|| format!("{value} is no text"))?;
        Ok(text.replace(MOUNTED, &format!("{}/", folder.display())))
    };
    let mut command = datastorage().await?;
    for argument in list(&container["args"]) {
        command.arg(here(argument)?);
    }
    for variable in list(&container["env"]) {
        command.env(here(&variable["name"])?, here(&variable["value"])?);
    }
    Ok(command)
}

/// The files of a volume.
async fn files(secrets: &Api<Secret>, pod: &Value, volume: &Value) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let own = volume.get("secret").map(|secret| (&secret["secretName"], &secret["items"]));
    let sources = list(&volume["projected"]["sources"]);
    let projected = sources.clone().filter_map(|source| source.get("secret"));
    for (name, items) in projected.map(|secret| (&secret["name"], &secret["items"])).chain(own) {
        let secret = secrets.get(name.as_str().context("a Secret without a name")?).await?;
        let mut data = secret.data.unwrap_or_default();
        if items.is_null() {
            files.extend(data.into_iter().map(|(key, content)| (key, content.0)));
            continue;
        }
        for item in list(items) {
            let (key, path) = item["key"].as_str().zip(item["path"].as_str()).context("an item without a path")?;
            let content = data.remove(key).with_context(|| format!("Secret {name} has no key {key}"))?;
            files.insert(path.to_owned(), content.0);
        }
    }
    for item in sources.flat_map(|source| list(&source["downwardAPI"]["items"])) {
        let field = item["fieldRef"]["fieldPath"].as_str().context("no field")?;
        let annotation = field.strip_prefix("metadata.annotations['").and_then(|rest| rest.strip_suffix("']"));
        let content = &pod["metadata"]["annotations"][annotation.context("a field that is not an annotation")?];
        let path = item["path"].as_str().context("an item without a path")?;
        files.insert(path.to_owned(), content.as_str().context("no such annotation")?.into());
    }
    Ok(files)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> + Clone {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}
