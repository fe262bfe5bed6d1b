//! How TLS takes bytes from TCP, and hands them to it: in large pieces.

use std::ops::DerefMut;

use rustls::{ConnectionCommon, SideData};
use tokio::{io::BufReader, net::TcpStream};

/// Bytes read from the system at once. rustls alone asks for 4 KiB at a time, four times and more for one record.
const READ_BYTES: usize = 128 * 1024;

/// Encrypted bytes that may wait for the system to take them. They go out in one call.
const WRITE_BYTES: usize = 256 * 1024;

/// What TLS runs over.
pub(crate) type Transport = BufReader<TcpStream>;

/// Makes a connection ready for TLS.
pub(crate) fn buffered(stream: TcpStream) -> Transport {
    BufReader::with_capacity(READ_BYTES, stream)
}

/// Lets TLS encrypt more at once than it does by default.
pub(crate) fn encrypt_ahead<D: SideData>(session: &mut impl DerefMut<Target = ConnectionCommon<D>>) {
    session.set_buffer_limit(Some(WRITE_BYTES));
}
