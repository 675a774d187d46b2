"""libpq.py - the few calls of libpq that the tests and the demonstration need, through ctypes.

A connection speaks in plain SQL with $1, $2 ... and answers with lists of tuples: integers, floats, booleans, None, the rest as
text. One connection belongs to one thread at a time; a call that waits lets the other threads run.
"""
import ctypes
import ctypes.util

_pq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
_pointer, _text, _int = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int


def _function(name, result, *arguments):
    function = getattr(_pq, name)
    function.restype, function.argtypes = result, arguments
    return function


_connect = _function("PQconnectdb", _pointer, _text)
_status = _function("PQstatus", _int, _pointer)
_finish = _function("PQfinish", None, _pointer)
_error = _function("PQerrorMessage", _text, _pointer)
_exec = _function("PQexec", _pointer, _pointer, _text)
_exec_params = _function("PQexecParams", _pointer, _pointer, _text, _int, _pointer, ctypes.POINTER(_text), _pointer, _pointer, _int)
_result_status = _function("PQresultStatus", _int, _pointer)
_error_field = _function("PQresultErrorField", _text, _pointer, _int)
_rows = _function("PQntuples", _int, _pointer)
_columns = _function("PQnfields", _int, _pointer)
_type = _function("PQftype", ctypes.c_uint, _pointer, _int)
_is_null = _function("PQgetisnull", _int, _pointer, _int, _int)
_value = _function("PQgetvalue", _text, _pointer, _int, _int)
_clear = _function("PQclear", None, _pointer)
_SILENT = ctypes.CFUNCTYPE(None, _pointer, _text)(lambda _arg, _message: None)
_silence = _function("PQsetNoticeProcessor", _pointer, _pointer, type(_SILENT), _pointer)

COMMAND_OK, TUPLES_OK = 1, 2
READERS = {16: lambda t: t == "t", 20: int, 21: int, 23: int, 26: int, 700: float, 701: float, 1700: float}


class Error(Exception):
    """What the server said; `code` is the SQLSTATE, "" when there is no connection."""

    def __init__(self, message, code=""):
        super().__init__(message.strip())
        self.code = code


def _quote_item(item):
    if item is None:
        return "NULL"
    return '"' + str(item).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _adapt(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, (list, tuple)):
        return ("{" + ",".join(map(_quote_item, value)) + "}").encode()
    return str(value).encode()


class Connection:
    def __init__(self, conninfo):
        self._c = _connect(conninfo.encode())
        if _status(self._c) != 0:
            message = _error(self._c).decode(errors="replace")
            self.close()
            raise Error(message)
        _silence(self._c, _SILENT, None)

    def close(self):
        if self._c:
            _finish(self._c)
            self._c = None

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def run(self, sql, *parameters):
        """The rows of the (last) statement. Without parameters there may be several statements."""
        if parameters:
            values = (_text * len(parameters))(*map(_adapt, parameters))
            result = _exec_params(self._c, sql.encode(), len(parameters), None, values, None, None, 0)
        else:
            result = _exec(self._c, sql.encode())
        try:
            if _result_status(result) not in (COMMAND_OK, TUPLES_OK):
                code = _error_field(result, ord("C")) or b""
                raise Error(_error(self._c).decode(errors="replace"), code.decode())
            return self._read(result)
        finally:
            _clear(result)

    @staticmethod
    def _read(result):
        columns = range(_columns(result))
        readers = [READERS.get(_type(result, c), str) for c in columns]
        return [tuple(None if _is_null(result, r, c) else readers[c](_value(result, r, c).decode())
                      for c in columns) for r in range(_rows(result))]

    def one(self, sql, *parameters):
        """The first column of the first row; None when there is none."""
        rows = self.run(sql, *parameters)
        return rows[0][0] if rows else None
