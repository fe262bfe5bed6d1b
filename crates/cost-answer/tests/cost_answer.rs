//! Columns that were written as a stream are read as rows, however the stream is cut.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not marked as tests")]

use std::sync::Arc;

use arrow::{
    array::{
        Array as _, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, ListBuilder,
        MapBuilder, RecordBatch, StringArray, StringBuilder, StringViewArray, StructArray, TimestampMicrosecondArray,
        UInt32Array,
    },
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Int32Type},
    ipc::writer::StreamWriter,
};
use cost_answer::{AllocationColumns, AssetColumns, AssetKind, Decoder, PerValue, asset::Own};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn numbers(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn sets(values: &[u32]) -> ArrayRef {
    Arc::new(UInt32Array::from(values.to_vec()))
}

fn volumes() -> ArrayRef {
    let items = StructArray::from(vec![
        (
            Arc::new(Field::new("name", DataType::Utf8, false)),
            texts(&["a", "b", "c"]),
        ),
        (
            Arc::new(Field::new("cost", DataType::Float64, false)),
            Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0])) as ArrayRef,
        ),
    ]);
    let field = Arc::new(Field::new("item", items.data_type().clone(), true));
    Arc::new(ListArray::new(
        field,
        OffsetBuffer::from_lengths([2, 1]),
        Arc::new(items),
        None,
    ))
}

fn allocations() -> RecordBatch {
    let start = TimestampMicrosecondArray::from(vec![Some(1_772_323_200_000_000), None]).with_timezone("UTC");
    batch(vec![
        ("set", sets(&[0, 1])),
        ("name", texts(&["web", "ß"])),
        ("namespace", Arc::new(StringViewArray::from(vec![Some("web"), None]))),
        ("start", Arc::new(start)),
        ("cpu_cost", numbers(&[Some(1.5), None])),
        ("cpu_core_usage_max", numbers(&[Some(1.0), Some(2.0)])),
        ("ram_byte_usage_max", numbers(&[Some(3.0), None])),
        ("volumes", volumes()),
    ])
}

#[test]
fn streams_may_be_cut_anywhere() {
    let batches = [allocations(), allocations().slice(1, 1)];
    let mut stream = Vec::new();
    let mut writer = StreamWriter::try_new(&mut stream, &batches[0].schema()).unwrap();
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    for piece_bytes in [1, 7, 64, stream.len()] {
        let mut decoder = Decoder::new();
        let mut read = Vec::new();
        for piece in stream.chunks(piece_bytes) {
            decoder.push(piece.to_vec());
            while let Some(batch) = decoder.next_batch().unwrap() {
                read.push(batch);
            }
        }
        decoder.finish().unwrap();
        assert_eq!(read, batches, "in pieces of {piece_bytes} bytes");
    }
    let mut decoder = Decoder::new();
    decoder.push(stream[..100].to_vec());
    while decoder.next_batch().unwrap().is_some() {}
    assert!(decoder.finish().is_err(), "a stream that is cut short");
    let mut decoder = Decoder::new();
    decoder.push(vec![1; 100]);
    let read = decoder.next_batch();
    assert!(read.is_err() || decoder.finish().is_err(), "no stream at all");
}

#[test]
fn what_is_left_out_is_nothing() {
    let batch = allocations();
    let columns = AllocationColumns::new(&batch).unwrap();
    assert_eq!((columns.rows(), columns.set(1)), (2, 1));
    let row = columns.row(0);
    assert_eq!((row.set, row.name, row.namespace, row.pod), (0, "web", "web", ""));
    assert_eq!(row.start.unwrap().to_rfc3339(), "2026-03-01T00:00:00+00:00");
    assert_eq!((row.end, row.cpu_cost, row.ram_cost), (None, 1.5, 0.0));
    assert_eq!(row.maxima.unwrap().ram_byte_usage, 3.0);
    assert_eq!(row.services.len() + row.labels.len() + row.load_balancers.len(), 0);
    let volumes: Vec<_> = row
        .volumes
        .map(|volume| (volume.cluster, volume.name, volume.cost))
        .collect();
    assert_eq!(volumes, [("", "a", 1.0), ("", "b", 2.0)]);

    let row = columns.row(1);
    assert_eq!((row.name, row.namespace, row.start), ("ß", "", None));
    assert_eq!((row.cpu_cost, row.maxima), (0.0, None), "unknown");
    assert_eq!(row.volumes.len(), 1);
}

#[test]
fn columns_of_another_type_are_named() {
    let wrong = batch(vec![
        ("set", sets(&[0])),
        ("name", texts(&["a"])),
        ("cpu_cost", texts(&["1"])),
    ]);
    let message = AllocationColumns::new(&wrong).unwrap_err().to_string();
    assert_eq!(message, "column cpu_cost of the answer is Utf8, expected Float64");
    let nameless = batch(vec![("set", sets(&[0]))]);
    let message = AssetColumns::new(&nameless).unwrap_err().to_string();
    assert_eq!(message, "column name of the answer is missing, expected Utf8");
}

#[test]
fn assets_have_what_their_kind_has() {
    let batch = batch(vec![
        ("set", sets(&[0; 5])),
        ("name", texts(&["one", "many", "lb", "lbs", "mix"])),
        ("type", texts(&["Node", "Node", "LoadBalancer", "LoadBalancer", ""])),
        ("members", Arc::new(Int64Array::from(vec![1, 2, 1, 2, 3]))),
        ("total_cost", numbers(&[Some(8.0); 5])),
        ("cpu_cost", numbers(&[Some(4.0); 5])),
        ("ram_cost", numbers(&[Some(2.0); 5])),
        ("overhead_cpu", numbers(&[Some(0.5); 5])),
        ("overhead_ram", numbers(&[Some(0.25); 5])),
        ("overhead_cost", numbers(&[Some(0.125), None, None, None, None])),
        ("cpu_idle", numbers(&[Some(0.5); 5])),
        ("cpu_other", numbers(&[Some(0.5); 5])),
        ("cpu_system", numbers(&[Some(0.0); 5])),
        ("cpu_user", numbers(&[Some(0.0), None, None, None, None])),
        ("ip", texts(&["", "", "203.0.113.1", "", ""])),
        ("private", Arc::new(BooleanArray::from(vec![true; 5]))),
    ]);
    let columns = AssetColumns::new(&batch).unwrap();
    let node = |row| match columns.row(row).own {
        Own::Node(node) => node,
        other => panic!("{other:?}"),
    };
    assert_eq!(node(0).overhead.unwrap().cost, 0.125);
    assert_eq!(node(0).cpu_breakdown.unwrap().idle, 0.5);
    assert!(node(0).ram_breakdown.is_none());
    // 0.5 of a CPU cost of 4 and 0.25 of a memory cost of 2, of 8 in all.
    assert_eq!(node(1).overhead.unwrap().cost, 0.3125);
    assert!(node(1).cpu_breakdown.is_none(), "one of its parts is unknown");
    let Own::LoadBalancer(balancer) = columns.row(2).own else {
        panic!("a single load balancer shows its address")
    };
    assert!(balancer.private && balancer.ip == "203.0.113.1");
    assert!(matches!(columns.row(3).own, Own::Nothing));
    assert_eq!(columns.row(4).kind, AssetKind::Several);
    assert_eq!(columns.row(4).kind.name(), None);
}

/// Rows whose labels, services and namespaces are looked up in dictionaries, with these values of the label `a`.
fn shared(keys: &[Option<i32>], values: &[&str]) -> RecordBatch {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    let mut lists = ListBuilder::new(StringBuilder::new());
    for value in values {
        maps.keys().append_value("a");
        maps.values().append_value(value);
        maps.append(true).unwrap();
        lists.append_value([Some(*value), Some("b")]);
    }
    let of_keys = |values: ArrayRef| -> ArrayRef {
        Arc::new(DictionaryArray::<Int32Type>::try_new(keys.to_vec().into(), values).unwrap())
    };
    batch(vec![
        ("set", sets(&vec![0; keys.len()])),
        ("name", texts(&vec!["x"; keys.len()])),
        ("namespace", of_keys(texts(values))),
        ("labels", of_keys(Arc::new(maps.finish()))),
        ("services", of_keys(Arc::new(lists.finish()))),
    ])
}

#[test]
fn what_rows_share_is_looked_up() {
    let batch = shared(&[Some(1), None, Some(0), Some(1)], &["one", "two"]);
    let mut stream = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    stream.write(&batch).unwrap();
    stream.write(&batch.slice(2, 2)).unwrap();
    let mut decoder = Decoder::new();
    decoder.push(stream.into_inner().unwrap());
    let mut values = Vec::new();
    while let Some(batch) = decoder.next_batch().unwrap() {
        let columns = AllocationColumns::new(&batch).unwrap();
        values.extend((0..columns.rows()).map(|row| {
            let row = columns.row(row);
            let labels = row.labels.map(|(name, value)| format!("{name}={value}"));
            let texts = labels.chain(row.services.map(str::to_owned));
            format!("{}:{}", row.namespace, texts.collect::<Vec<_>>().join(","))
        }));
    }
    let (one, two) = ("one:a=one,one,b", "two:a=two,two,b");
    assert_eq!(values, [two, ":", one, two, one, two]);
}

#[test]
fn what_is_made_of_a_shared_value_is_made_once() {
    let mut made = 0;
    let mut known = PerValue::default();
    let mut append = |batch: &RecordBatch| {
        let columns = AllocationColumns::new(batch).unwrap();
        let mut out = Vec::new();
        for row in 0..columns.rows() {
            known.append(columns.row(row).labels, &mut out, |out, entries| {
                made += 1;
                entries.for_each(|(_, value)| out.extend_from_slice(value.as_bytes()));
                out.push(b';');
            });
        }
        String::from_utf8(out).unwrap()
    };
    let first = shared(&[Some(0), Some(1), Some(0), Some(1)], &["one", "two"]);
    assert_eq!(append(&first), "one;two;one;two;");
    assert_eq!(append(&first.slice(1, 1)), "two;");
    // Another dictionary, and rows of no dictionary.
    assert_eq!(append(&shared(&[Some(0), Some(0)], &["three"])), "three;three;");
    assert_eq!(append(&allocations()), ";;");
    assert_eq!(append(&first), "one;two;one;two;");
    assert_eq!(made, 2 + 1 + 2 + 2);
}
