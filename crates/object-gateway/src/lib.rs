//! object-gateway
