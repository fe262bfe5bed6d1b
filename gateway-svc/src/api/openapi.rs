//! `/openapi.json`: what there is, in the words of OpenAPI 3.1.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ComponentsBuilder, Content, InfoBuilder, KnownFormat, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem,
        PathsBuilder, Ref, RefOr, Required, ResponseBuilder, ResponsesBuilder, Schema, SchemaFormat,
        path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn},
        schema::{AdditionalProperties, ArrayBuilder, OneOfBuilder, SchemaType, Type},
        tag::TagBuilder,
    },
};

use super::{
    allocation::{
        self,
        figures::{FIGURES, Figure, SUMMARY},
    },
    asset,
    autocomplete::Values,
    cluster::Cluster,
    endpoints::{Answer, ENDPOINTS, Endpoint},
    explanation::Explanation,
    ingest,
    settings::Settings,
};
use crate::{
    face::Face,
    parameters::{Kind, Omitted, Parameter},
};

const JSON: (HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
const NO_CACHE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));

pub(crate) async fn description() -> Response {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(serde_json::to_vec(&describe()).unwrap_or_default()));
    ([JSON, NO_CACHE], TEXT.clone()).into_response()
}

fn describe() -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut tags: Vec<&str> = Vec::new();
    for endpoint in ENDPOINTS {
        if !tags.contains(&endpoint.family) {
            tags.push(endpoint.family);
        }
        for path in endpoint.paths {
            paths = paths.path(*path, PathItem::new(HttpMethod::Get, operation(endpoint, path)));
        }
    }
    let info = InfoBuilder::new()
        .title("FedCost")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The costs of all your clusters. Paths under /model have the shapes and defaults of Kubecost, the others \
             those of OpenCost. Unknown parameters are ignored, empty ones count as absent.",
        ))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .tags(Some(tags.into_iter().map(|name| TagBuilder::new().name(name).build())))
        .components(Some(components()))
        .build()
}

fn operation(endpoint: &Endpoint, path: &str) -> OperationBuilder {
    let face = Face::of_path(path);
    let mut operation = OperationBuilder::new()
        .tag(endpoint.family)
        .summary(Some(endpoint.title))
        .description(Some(endpoint.about))
        .operation_id(Some(path.trim_start_matches('/').replace('/', "_")))
        .responses(responses(endpoint, face));
    for parameter in endpoint.parameters.iter().copied().flatten() {
        operation = operation.parameter(query_parameter(parameter, face));
    }
    if !endpoint.example.is_empty() {
        let extension = utoipa::openapi::extensions::ExtensionsBuilder::new()
            .add("x-example", endpoint.example)
            .build();
        operation = operation.extensions(Some(extension));
    }
    operation
}

fn query_parameter(parameter: &Parameter, face: Face) -> ParameterBuilder {
    let required = match parameter.omitted {
        Omitted::Required => Required::True,
        Omitted::Nothing | Omitted::Value(_) | Omitted::Faces(..) => Required::False,
    };
    let object = match parameter.kind {
        // Lists are written with commas in one text.
        Kind::Text | Kind::List => ObjectBuilder::new().schema_type(Type::String),
        Kind::Flag => ObjectBuilder::new().schema_type(Type::Boolean),
        Kind::OneOf(words) => ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(words.iter().copied())),
        Kind::Whole(most) => {
            let whole = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
            match most {
                u64::MAX => whole,
                most => whole.maximum(Some(most as f64)),
            }
        }
        Kind::Amount => ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)),
    };
    let default = parameter
        .omitted
        .of(face)
        .map(|text| default_value(parameter.kind, text));
    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(ParameterIn::Query)
        .required(required)
        .description(Some(format!("{} Takes {}.", parameter.about, parameter.takes)))
        .schema(Some(object.default(default)))
}

/// The default as a value of its kind.
fn default_value(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Flag | Kind::Whole(_) | Kind::Amount => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        Kind::Text | Kind::OneOf(_) | Kind::List => json!(text),
    }
}

fn responses(endpoint: &Endpoint, face: Face) -> ResponsesBuilder {
    let (kind, success) = match endpoint.answer {
        Answer::Plain => ("application/json", ObjectBuilder::new().into()),
        Answer::Text => ("text/plain", text().into()),
        answer => ("application/json", wrapped(data(answer, face))),
    };
    let mut answer = ResponseBuilder::new()
        .description(endpoint.title)
        .content(kind, Content::new(Some(success)));
    if endpoint.can_be_csv {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        answer = answer.content("text/csv", Content::new(Some(Schema::from(text))));
    }
    let mut responses = ResponsesBuilder::new().response("200", answer);
    if endpoint.parameters.is_empty() {
        return responses;
    }
    let refused =
        ResponseBuilder::new().description("A parameter is missing or wrong: which, what it got, and what it takes.");
    responses = responses.response(
        "400",
        match face {
            Face::Kubecost => refused.content("application/json", Content::new(Some(reference("Error")))),
            Face::OpenCost => refused.content(
                "text/plain",
                Content::new(Some(Schema::from(
                    ObjectBuilder::new().schema_type(Type::String).build(),
                ))),
            ),
        },
    );
    responses
}

/// `{"code": 200, "data": …}`.
fn wrapped(data: RefOr<Schema>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .property("code", ObjectBuilder::new().schema_type(Type::Integer))
        .required("code")
        .property("data", data)
        .required("data")
        .property("explanation", reference("Explanation"))
        .into()
}

fn data(answer: Answer, face: Face) -> RefOr<Schema> {
    match (answer, face) {
        (Answer::Allocations, _) => list_of(map_of(reference("Allocation"))),
        (Answer::Summary, _) => reference("Summaries"),
        (Answer::AllocationTopline, _) => reference("Topline"),
        (Answer::Trends, _) => reference("Trends"),
        (Answer::Assets, Face::Kubecost) => list_of(map_of(reference("Asset"))),
        (Answer::Assets, Face::OpenCost) => map_of(reference("Asset")),
        (Answer::AssetTopline, _) => reference("AssetTopline"),
        (Answer::AssetDiff, _) => map_of(reference("AssetChange")),
        (Answer::Values, _) => reference("Values"),
        (Answer::ClusterMap, _) => map_of(reference("Cluster")),
        (Answer::Cluster, _) => reference("Cluster"),
        (Answer::Clusters, _) => list_of(reference("Cluster")),
        (Answer::Settings, _) => reference("Settings"),
        (Answer::Orchestrator, _) => reference("Orchestrator"),
        (Answer::IngestionRecords, _) => list_of(reference("IngestionRecord")),
        (Answer::IngestionSummary, _) => list_of(reference("IngestionSummary")),
        (Answer::MultiCluster, _) => reference("MultiCluster"),
        (Answer::Figures, _) => list_of(reference("DiagnosticFigures")),
        (Answer::Releases, _) => reference("Releases"),
        (Answer::Begun, _) => text().into(),
        (Answer::Plain | Answer::Text | Answer::Nothing, _) => {
            ObjectBuilder::new().schema_type(SchemaType::AnyValue).into()
        }
    }
}

fn reference(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

fn list_of(item: RefOr<Schema>) -> RefOr<Schema> {
    ArrayBuilder::new().items(item).into()
}

fn map_of(item: RefOr<Schema>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .additional_properties(Some(AdditionalProperties::RefOr(item)))
        .into()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn time() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn components() -> utoipa::openapi::Components {
    let mut schemas = Vec::new();
    for collect in [
        allocation::Topline::schemas,
        allocation::Trends::schemas,
        asset::Topline::schemas,
        Values::schemas,
        Cluster::schemas,
        Settings::schemas,
        Explanation::schemas,
        ingest::Orchestrator::schemas,
        ingest::Record::schemas,
        ingest::Summary::schemas,
        ingest::MultiCluster::schemas,
        ingest::Figures::schemas,
        ingest::Releases::schemas,
    ] {
        collect(&mut schemas);
    }
    let own = [
        (allocation::Topline::name(), allocation::Topline::schema()),
        (allocation::Trends::name(), allocation::Trends::schema()),
        (asset::Topline::name(), asset::Topline::schema()),
        (Values::name(), Values::schema()),
        (Cluster::name(), Cluster::schema()),
        (Settings::name(), Settings::schema()),
        (Explanation::name(), Explanation::schema()),
        (ingest::Orchestrator::name(), ingest::Orchestrator::schema()),
        (ingest::Record::name(), ingest::Record::schema()),
        (ingest::Summary::name(), ingest::Summary::schema()),
        (ingest::MultiCluster::name(), ingest::MultiCluster::schema()),
        (ingest::Figures::name(), ingest::Figures::schema()),
        (ingest::Releases::name(), ingest::Releases::schema()),
    ];
    ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .schemas_from_iter(own)
        .schema("Allocation", allocation_schema())
        .schema("Summary", with_figures(begin_allocation(), &SUMMARY))
        .schema("Summaries", summaries())
        .schema("Asset", asset_schema())
        .schema("AssetChange", asset_change())
        .schema("Error", error())
        .build()
}

fn begin_allocation() -> ObjectBuilder {
    ObjectBuilder::new()
        .property("name", text())
        .property("start", time())
        .property("end", time())
}

fn with_figures(mut object: ObjectBuilder, figures: &[Figure]) -> ObjectBuilder {
    for figure in figures {
        let number = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Number, Type::Null]))
            .description(Some(figure.about));
        object = object.property(figure.name(), number);
    }
    object
}

fn allocation_schema() -> ObjectBuilder {
    let texts = || map_of(text().into());
    let properties = ObjectBuilder::new()
        .description(Some("what all members agree on; the rest is left out"))
        .property("cluster", text())
        .property("node", text())
        .property("container", text())
        .property("controller", text())
        .property("controllerKind", text())
        .property("namespace", text())
        .property("pod", text())
        .property("services", list_of(text().into()))
        .property("providerID", text())
        .property("labels", texts())
        .property("annotations", texts())
        .property("namespaceLabels", texts())
        .property("namespaceAnnotations", texts());
    with_figures(
        begin_allocation()
            .property("properties", properties)
            .property("window", reference("Window")),
        &FIGURES,
    )
    .property("pvs", map_of(ObjectBuilder::new().into()))
    .property("rawAllocationOnly", ObjectBuilder::new())
    .property("proportionalAssetResourceCosts", map_of(ObjectBuilder::new().into()))
    .property(
        "lbAllocations",
        ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Object, Type::Null])),
    )
    .property("sharedCostBreakdown", map_of(ObjectBuilder::new().into()))
}

fn summaries() -> ObjectBuilder {
    let set = ObjectBuilder::new()
        .property("allocations", map_of(reference("Summary")))
        .property("window", reference("Window"));
    let step = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("length of a set in nanoseconds"));
    ObjectBuilder::new()
        .property("step", step)
        .property("sets", list_of(set.into()))
        .property("window", reference("Window"))
}

fn asset_schema() -> ObjectBuilder {
    let number = || ObjectBuilder::new().schema_type(Type::Number);
    ObjectBuilder::new()
        .description(Some("nodes, disks and load balancers have further fields of their own"))
        .property("type", text())
        .property("properties", map_of(text().into()))
        .property("labels", map_of(text().into()))
        .property("window", reference("Window"))
        .property("start", time())
        .property("end", time())
        .property("minutes", number())
        .property("adjustment", number())
        .property("totalCost", number())
}

fn asset_change() -> ObjectBuilder {
    // What was added was not there before, and what was removed is not there after.
    let asset_or_null = || {
        OneOfBuilder::new()
            .item(reference("Asset"))
            .item(ObjectBuilder::new().schema_type(Type::Null))
    };
    ObjectBuilder::new()
        .property("kind", text().enum_values(Some(["added", "removed", "changed"])))
        .property("before", asset_or_null())
        .property("after", asset_or_null())
}

fn error() -> ObjectBuilder {
    ObjectBuilder::new()
        .property("code", ObjectBuilder::new().schema_type(Type::Integer))
        .property("message", text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let description = serde_json::to_value(describe()).unwrap();
        assert_eq!(description["openapi"], "3.1.0");
        let schemas = description["components"]["schemas"].as_object().unwrap();
        let text = description.to_string();
        let references: Vec<_> = text.split("#/components/schemas/").skip(1).collect();
        assert!(references.len() > 20);
        for reference in references {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name} is not described");
        }
        let paths = description["paths"].as_object().unwrap();
        assert!(paths.contains_key("/model/allocation") && paths.contains_key("/assets"));
    }

    #[test]
    fn defaults_are_those_of_the_face() {
        let description = serde_json::to_value(describe()).unwrap();
        let default = |path: &str, name: &str| {
            let parameters = description["paths"][path]["get"]["parameters"].as_array().unwrap();
            let parameter = parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
            parameter["schema"]["default"].clone()
        };
        assert_eq!(default("/model/allocation", "idle"), true);
        assert_eq!(default("/allocation", "includeIdle"), false);
        assert_eq!(default("/model/allocation", "limit"), 0);
        assert_eq!(default("/assets", "sortByOrder"), "desc");
    }
}
