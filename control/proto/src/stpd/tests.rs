//! Tests of the domains of a switch: what follows from a configuration and from frames, what is saved, networks of
//! switches with several domains, and processes that end.

mod any;
mod carriers;
mod domains;
mod net;
mod networks;
mod resume;
