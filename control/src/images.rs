//! Images of the management module, as the running one deals with them: who may sign them ([`signature`]), and how they
//! get into the banks of both slots ([`store`]), and what is asked of them ([`desk`]). What an image and a bank are is in [`hitless_boot::image`] and
//! [`hitless_boot::bank`].

pub mod desk;
pub mod signature;
pub mod store;
