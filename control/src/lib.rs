//! The management module (hitlessd) and the command line (hitless) of the Hitless switch.
