"""What is in the RocksDB of a data directory, by the library that kafed links.

Through RocksDB's C functions, for tests that make what only another version
of kafed would: no node may have the directory open.
"""

import contextlib
import ctypes
import ctypes.util

FAMILIES = [b"default", b"log", b"snapshot", b"meta"]
_name = ctypes.util.find_library("rocksdb")
_rocks = ctypes.CDLL(_name) if _name else None


def _call(name, *arguments, result=ctypes.c_void_p, fails=False):
    """A function of the library; with `fails`, its error is raised."""
    function = getattr(_rocks, name)
    function.restype = result
    if not fails:
        return function(*arguments)
    error = ctypes.c_char_p()
    answer = function(*arguments, ctypes.byref(error))
    if error.value is not None:
        raise OSError(f"{name}: {error.value.decode()}")
    return answer


class Rocks:
    """An open database; use with opened()."""

    def __init__(self, path, families, read_only):
        count = len(families)
        self._options = ctypes.c_void_p(_call("rocksdb_options_create"))
        self._handles = (ctypes.c_void_p * count)()
        self._families = families
        arguments = [self._options, str(path).encode(), ctypes.c_int(count),
                     (ctypes.c_char_p * count)(*families),
                     (ctypes.c_void_p * count)(*[self._options.value] * count),
                     self._handles]
        if read_only:
            opened = _call("rocksdb_open_for_read_only_column_families",
                           *arguments, ctypes.c_ubyte(0), fails=True)
        else:
            opened = _call("rocksdb_open_column_families", *arguments,
                           fails=True)
        self._database = ctypes.c_void_p(opened)

    def _handle(self, family):
        return ctypes.c_void_p(self._handles[self._families.index(family)])

    def put(self, family, key, value):
        options = ctypes.c_void_p(_call("rocksdb_writeoptions_create"))
        _call("rocksdb_writeoptions_set_sync", options, ctypes.c_ubyte(1))
        _call("rocksdb_put_cf", self._database, options, self._handle(family),
              key, ctypes.c_size_t(len(key)), value,
              ctypes.c_size_t(len(value)), fails=True)
        _call("rocksdb_writeoptions_destroy", options)

    def add_family(self, name):
        handle = _call("rocksdb_create_column_family", self._database,
                       self._options, name, fails=True)
        _call("rocksdb_column_family_handle_destroy", ctypes.c_void_p(handle))

    def rows(self):
        """All values by family and key."""
        found = {}
        options = ctypes.c_void_p(_call("rocksdb_readoptions_create"))
        for family in self._families:
            each = ctypes.c_void_p(_call(
                "rocksdb_create_iterator_cf", self._database, options,
                self._handle(family)))
            _call("rocksdb_iter_seek_to_first", each)
            while _call("rocksdb_iter_valid", each, result=ctypes.c_ubyte):
                found[family, self._bytes("rocksdb_iter_key", each)] = \
                    self._bytes("rocksdb_iter_value", each)
                _call("rocksdb_iter_next", each)
            _call("rocksdb_iter_get_error", each, fails=True)
            _call("rocksdb_iter_destroy", each)
        _call("rocksdb_readoptions_destroy", options)
        return found

    @staticmethod
    def _bytes(name, iterator):
        length = ctypes.c_size_t()
        return ctypes.string_at(
            _call(name, iterator, ctypes.byref(length)), length.value)

    def close(self):
        for handle in self._handles:
            _call("rocksdb_column_family_handle_destroy",
                  ctypes.c_void_p(handle))
        _call("rocksdb_close", self._database)
        _call("rocksdb_options_destroy", self._options)


@contextlib.contextmanager
def opened(data_directory, families=(), read_only=False):
    """The database of a data directory, with more families than usual."""
    if _rocks is None:
        raise RuntimeError("librocksdb, which kafed links, is not found")
    database = Rocks(data_directory / "db", [*FAMILIES, *families], read_only)
    try:
        yield database
    finally:
        database.close()
