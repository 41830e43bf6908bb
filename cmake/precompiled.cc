// Nothing: the precompiled headers are what this library is for.
