//! The client against a gateway that fails by script. Against the real one it is tested where that lives, in
//! `storage-svc`, with the library's own suite.

#[cfg(test)]
mod gateway {
    mod calls;
    mod downloads;
    mod scripted;
    mod uploads;
}
