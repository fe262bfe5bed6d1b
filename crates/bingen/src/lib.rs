//! bingen
