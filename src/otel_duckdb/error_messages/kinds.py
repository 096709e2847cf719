"""DuckDB's kinds of error, with which each of its messages begins, and the exception classes they are raised as."""

from __future__ import annotations

from typing import Final

CLASSES: Final = {
    "Binder": "BinderException",
    "Catalog": "CatalogException",
    "Connection": "ConnectionException",
    "Constraint": "ConstraintException",
    "Conversion": "ConversionException",
    "Data Corruption": "Error",
    "Decimal": "Error",
    "Dependency": "DependencyException",
    "Divide by Zero": "Error",
    "Executor": "Error",
    "Expression": "Error",
    "Extension Autoloading": "Error",
    "FATAL": "FatalException",
    "HTTP": "HTTPException",
    "Index": "Error",
    "INTERNAL": "InternalException",
    "INTERRUPT": "InterruptException",
    "Invalid": "Error",
    "Invalid Configuration": "Error",
    "Invalid Input": "InvalidInputException",
    "Invalid type": "InvalidTypeException",
    "IO": "IOException",
    "Mismatch Type": "TypeMismatchException",
    "Missing Extension": "Error",
    "Not implemented": "NotImplementedException",
    "NullPointer": "Error",
    "Object Size": "Error",
    "Optimizer": "Error",
    "Out of Memory": "OutOfMemoryException",
    "Out of Range": "OutOfRangeException",
    "Parameter Not Allowed": "Error",
    "Parameter Not Resolved": "Error",
    "Parser": "ParserException",
    "Permission": "PermissionException",
    "Planner": "Error",
    "Resource In Use": "ResourceInUseException",
    "Scheduler": "Error",
    "Sequence": "SequenceException",
    "Serialization": "SerializationException",
    "Settings": "Error",
    "Stat": "Error",
    "Syntax": "SyntaxException",
    "TransactionContext": "TransactionException",
    "Unknown Type": "Error",
}
"""By the words before ` Error: ` in a message, the class of the exception; `Error` where DuckDB has none of its own."""
_MARK: Final = " Error: "
_LONGEST: Final = max(map(len, CLASSES))


def split_kind(message: str) -> tuple[str, str]:
    """Return DuckDB's kind of error and the rest of the message; the kind is empty where the message tells none."""
    end = message.find(_MARK, 0, _LONGEST + len(_MARK))
    kind = message[:end] if end > 0 else ""
    return (kind, message[end + len(_MARK) :]) if kind in CLASSES else ("", message)
