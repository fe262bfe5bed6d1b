//! What the compiled-in descriptors tell: for reflection, and for the names of methods.

use std::collections::HashSet;

use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::service::RoutesBuilder;
use tonic_reflection::server::Builder;

use super::ServeError;

const HEALTH: &str = "grpc.health.v1.Health";

const DESCRIPTORS: [&[u8]; 4] = [
    fedcost_proto::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Every `/package.Service/Method` that any server of ours may serve.
pub(super) fn known_methods() -> Result<HashSet<String>, ServeError> {
    let mut methods = HashSet::new();
    for encoded in DESCRIPTORS {
        for file in FileDescriptorSet::decode(encoded)?.file {
            for service in &file.service {
                let service_path = format!("/{}.{}/", file.package(), service.name());
                methods.extend(
                    service
                        .method
                        .iter()
                        .map(|method| format!("{service_path}{}", method.name())),
                );
            }
        }
    }
    Ok(methods)
}

/// Adds reflection, in the version that is current and the one that older tools speak. It lists the services that the
/// server really serves, not all that the descriptors know.
pub(super) fn add_reflection(routes: &mut RoutesBuilder, service_names: &[&'static str]) -> Result<(), ServeError> {
    let builder = || {
        let described = DESCRIPTORS
            .into_iter()
            .fold(Builder::configure(), |builder, descriptors| {
                builder.register_encoded_file_descriptor_set(descriptors)
            });
        service_names
            .iter()
            .chain([&HEALTH])
            .fold(described.include_reflection_service(false), |builder, name| {
                builder.with_service_name(*name)
            })
    };
    routes.add_service(builder().build_v1()?);
    routes.add_service(builder().build_v1alpha()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_our_methods_and_those_of_health() {
        let methods = known_methods().unwrap();
        for method in ["/fedcost.storage.v1.StorageService/Get", "/grpc.health.v1.Health/Check"] {
            assert!(methods.contains(method), "{method} is not among {methods:?}");
        }
    }
}
