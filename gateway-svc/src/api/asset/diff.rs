//! `/assets/diff`: which assets came, went, or changed in cost between two windows.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use chrono::Utc;
use cost_answer::{AssetColumns, RecordBatch};
use http::{HeaderValue, header};
use tokio::time::Instant;

use super::{item, read};
use crate::{
    Gateway,
    api::{
        incoming::{Incoming, SetHead},
        json,
        time_range::TimeRange,
    },
    error::ApiError,
    face::Face,
    parameters::{Parameter, Parameters, table},
};

/// From which change on an asset counts as changed, unless told.
const COST_CHANGE_RATIO: f64 = 0.05;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(crate) async fn diff(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    let ratio = parameters
        .amount(&table::COST_CHANGE_RATIO)?
        .unwrap_or(COST_CHANGE_RATIO);
    let deadline = gateway.deadline();
    let (before, after) = tokio::try_join!(
        assets(&gateway, face, &parameters, &table::BEFORE, deadline),
        assets(&gateway, face, &parameters, &table::AFTER, deadline),
    )?;
    Ok(([(header::CONTENT_TYPE, JSON)], write(&before, &after, ratio)?).into_response())
}

/// The assets of a window, which are kept whole.
struct Assets {
    set: SetHead,
    batches: Vec<RecordBatch>,
}

async fn assets(
    gateway: &Gateway,
    face: Face,
    parameters: &Parameters,
    window: &'static Parameter,
    deadline: Instant,
) -> Result<Assets, ApiError> {
    let range = TimeRange::of(
        window,
        parameters,
        face,
        Utc::now(),
        gateway.calendar,
        gateway.limits.sets,
    )?
    .as_one_set();
    let question = read(parameters, face, &range)?;
    let stream = gateway.upstream.assets(question, deadline).await?;
    let (sets, mut incoming) = Incoming::open(stream, 1, deadline).await?;
    let mut batches = Vec::new();
    while let Some(batch) = incoming.next().await? {
        batches.push(batch);
    }
    Ok(Assets {
        set: sets.heads.into_iter().next().unwrap_or_default(),
        batches,
    })
}

/// Where an asset is: in which batch, and which row of it.
type Place = (usize, usize);

fn write(before: &Assets, after: &Assets, ratio: f64) -> Result<Vec<u8>, ApiError> {
    let columns_before = columns(before)?;
    let columns_after = columns(after)?;
    let mut places: BTreeMap<&str, (Option<Place>, Option<Place>)> = BTreeMap::new();
    for (name, place) in names(&columns_before) {
        places.entry(name).or_default().0 = Some(place);
    }
    for (name, place) in names(&columns_after) {
        places.entry(name).or_default().1 = Some(place);
    }
    let mut out = b"{\"code\":200,\"data\":{".to_vec();
    let begun = out.len();
    for (name, (place_before, place_after)) in places {
        let row_before = place_before.map(|(batch, row)| columns_before[batch].row(row));
        let row_after = place_after.map(|(batch, row)| columns_after[batch].row(row));
        let kind = match (&row_before, &row_after) {
            (None, None) => continue,
            (None, Some(_)) => "added",
            (Some(_), None) => "removed",
            (Some(before), Some(after)) if is_change(before.total_cost, after.total_cost, ratio) => "changed",
            (Some(_), Some(_)) => continue,
        };
        if out.len() > begun {
            out.push(b',');
        }
        json::string(&mut out, name);
        out.extend_from_slice(b":{\"kind\":");
        json::string(&mut out, kind);
        for (key, row, set) in [
            (",\"before\":", row_before, &before.set),
            (",\"after\":", row_after, &after.set),
        ] {
            out.extend_from_slice(key.as_bytes());
            match row {
                Some(row) => item::write(&row, set, &mut out),
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
    Ok(out)
}

fn columns(assets: &Assets) -> Result<Vec<AssetColumns<'_>>, ApiError> {
    Ok(assets.batches.iter().map(AssetColumns::new).collect::<Result<_, _>>()?)
}

fn names<'a>(columns: &'a [AssetColumns<'_>]) -> impl Iterator<Item = (&'a str, Place)> {
    columns
        .iter()
        .enumerate()
        .flat_map(|(batch, columns)| (0..columns.rows()).map(move |row| (columns.row(row).name, (batch, row))))
}

/// Whether the cost changed by more than this part of what it was.
fn is_change(before: f64, after: f64, ratio: f64) -> bool {
    (after - before).abs() > ratio * before.abs()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray, UInt32Array};
    use serde_json::Value;

    use super::*;

    fn assets(items: &[(&str, f64)]) -> Assets {
        let names: Vec<_> = items.iter().map(|(name, _)| *name).collect();
        let costs: Vec<_> = items.iter().map(|(_, cost)| *cost).collect();
        let batch = RecordBatch::try_from_iter([
            ("set", Arc::new(UInt32Array::from(vec![0; items.len()])) as ArrayRef),
            ("name", Arc::new(StringArray::from(names))),
            ("total_cost", Arc::new(Float64Array::from(costs))),
        ]);
        Assets {
            set: SetHead {
                window: b"null".to_vec(),
                ..SetHead::default()
            },
            batches: vec![batch.unwrap()],
        }
    }

    #[test]
    fn tells_what_came_went_and_changed() {
        let before = assets(&[("gone", 1.0), ("same", 100.0), ("dearer", 100.0), ("free", 0.0)]);
        let after = assets(&[("new", 1.0), ("same", 104.9), ("dearer", 106.0), ("free", 0.0)]);
        let answer: Value = serde_json::from_slice(&write(&before, &after, 0.05).unwrap()).unwrap();
        let data = answer["data"].as_object().unwrap();
        assert_eq!(data.len(), 3, "{answer}");
        for (name, kind, is_before, is_after) in [
            ("gone", "removed", true, false),
            ("new", "added", false, true),
            ("dearer", "changed", true, true),
        ] {
            let item = &data[name];
            assert_eq!(item["kind"], kind);
            assert_eq!(
                (item["before"].is_object(), item["after"].is_object()),
                (is_before, is_after)
            );
        }
        assert_eq!(data["dearer"]["after"]["totalCost"], 106);
    }
}
