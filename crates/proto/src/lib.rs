//! Messages, clients and servers of the FedCost services, generated from `proto/`.

#![expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

/// The storage gateway.
pub mod storage {
    /// `fedcost.storage.v1`.
    pub mod v1 {
        tonic::include_proto!("fedcost.storage.v1");
    }
}

/// Ingest.
pub mod ingest {
    /// `fedcost.ingest.v1`.
    pub mod v1 {
        tonic::include_proto!("fedcost.ingest.v1");
    }
}

/// Query.
pub mod query {
    /// `fedcost.query.v1`.
    pub mod v1 {
        tonic::include_proto!("fedcost.query.v1");
    }
}

/// Descriptors of all services, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
