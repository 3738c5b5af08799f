//! A process's arguments -> module, instance, log precision.
