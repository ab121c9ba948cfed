//! The machine on a simulated switch: two slots with banks, boots that start what is selected, and a disk for the journal.

mod any;
mod cases;
mod journal;
mod switch;

use super::*;
use switch::{Quality, Switch};
