//! Who may call what.

use std::fmt::Debug;

use crate::Identity;

/// Decides whether a caller may call a method at all. What a caller may do within a method, such as which paths it
/// may write, is the handler's matter.
pub trait Authorizer: Send + Sync + 'static {
    /// True lets the call through. `method` is `/package.Service/Method`.
    fn allows(&self, caller: &Identity, method: &str) -> bool;
}

impl<F: Fn(&Identity, &str) -> bool + Send + Sync + 'static> Authorizer for F {
    fn allows(&self, caller: &Identity, method: &str) -> bool {
        self(caller, method)
    }
}

impl Debug for dyn Authorizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Authorizer")
    }
}

/// Any service may call anything; clusters may call nothing. The default.
#[derive(Clone, Copy, Debug)]
pub struct AnyService;

impl Authorizer for AnyService {
    fn allows(&self, caller: &Identity, _method: &str) -> bool {
        caller.service_name().is_some()
    }
}
