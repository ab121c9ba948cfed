//! Images of the management module, as the running one deals with them: who may sign them ([`signature`]), and how they
//! get into the banks of both slots ([`store`]). What an image and a bank are is in [`hitless_boot::image`] and
//! [`hitless_boot::bank`].

pub mod signature;
pub mod store;
