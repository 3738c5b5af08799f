//! HTTP: listens, limits, compresses; knows one function that answers a path, and nothing of collectors.
