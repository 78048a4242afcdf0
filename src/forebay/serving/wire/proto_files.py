"""Reads the `.proto` files beside it into message classes of their own.

Generated code would register its messages in protobuf's one global pool, where a client of the same
protocol in the same process (tritonclient in a notebook) collides with it; and the compiler that
generates is a hundred megabytes that nobody needs to serve a model. So the files are read as they
stand: proto3 with messages, enums, oneofs, maps, services and imports, which is all that our protocols use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_TOKEN = re.compile(r'//[^\n]*|\s+|([A-Za-z_][\w.]*|\d+|"[^"]*"|[{}=;<>,()])')
_SCALARS = {
    name: getattr(FieldDescriptorProto, f"TYPE_{name.upper()}")
    for name in (
        "double", "float", "int64", "uint64", "int32", "uint32", "bool", "string", "bytes",
    )
}  # fmt: skip


class Protocol:
    """The messages of some `.proto` files, in a pool of their own; a file follows what it imports."""

    def __init__(self, *names: str) -> None:
        folder = files("forebay.serving.wire").joinpath("protos")
        self._pool = DescriptorPool()
        self.files: list[FileDescriptorProto] = []
        for name in names:
            file = read_proto(name, folder.joinpath(name).read_text("utf-8"), self.files)
            self._pool.AddSerializedFile(file.SerializeToString())
            self.files.append(file)

    def message(self, full_name: str) -> Any:
        """The class of a message."""
        return GetMessageClass(self._pool.FindMessageTypeByName(full_name))

    @property
    def services(self) -> list[str]:
        """The full names of all services."""
        return [f"{file.package}.{service.name}" for file in self.files for service in file.service]

    def file_of(self, symbol: str) -> bytes | None:
        """The serialized file that declares *symbol* (a service, method, message, …); None if none does."""
        named = {file.name: file for file in self.files}
        while symbol:
            try:
                file = named.get(symbol) or self._pool.FindFileContainingSymbol(symbol)
            except KeyError:
                symbol = symbol.rpartition(".")[0]  # the pool finds a service, but none of its methods
            else:
                return bytes(file.SerializeToString() if symbol in named else file.serialized_pb)
        return None


def read_proto(name: str, text: str, imported: Sequence[FileDescriptorProto] = ()) -> FileDescriptorProto:
    """What protoc would make of the file *name*, which may import those *imported*; raises `ValueError`.

    >>> file = read_proto("a.proto", 'syntax = "proto3"; package a; message M { repeated int64 x = 1; }')
    >>> file.message_type[0].field[0].name
    'x'
    """
    file = FileDescriptorProto(name=name, syntax="proto3")
    reader = _Reader(text)
    while (word := reader.next()) is not None:
        if word == "syntax":
            reader.take("=", '"proto3"', ";")
        elif word == "package":
            file.package = reader.word()
            reader.take(";")
        elif word == "import":
            file.dependency.append(reader.word().strip('"'))
            reader.take(";")
        elif word == "message":
            reader.message(file.message_type.add())
        elif word == "enum":
            reader.enum(file.enum_type.add())
        elif word == "service":
            reader.service(file.service.add())
        else:
            raise ValueError(f"{name}: nothing begins with {word!r}")
    _resolve(file, [each for each in imported if each.name in file.dependency])
    return file


class _Reader:
    """Reads token by token."""

    def __init__(self, text: str) -> None:
        self._tokens: Iterator[str] = (token for token in _TOKEN.findall(text) if token)

    def next(self) -> str | None:
        return next(self._tokens, None)

    def word(self) -> str:
        word = self.next()
        if word is None:
            raise ValueError("the file ends too early")
        return word

    def take(self, *wanted: str) -> None:
        for token in wanted:
            found = self.word()
            if found != token:
                raise ValueError(f"expected {token!r}, found {found!r}")

    def message(self, message: DescriptorProto) -> None:
        message.name = self.word()
        self.take("{")
        while (word := self.word()) != "}":
            if word == "message":
                self.message(message.nested_type.add())
            elif word == "enum":
                self.enum(message.enum_type.add())
            elif word == "oneof":
                message.oneof_decl.add(name=self.word())
                self.take("{")
                while (kind := self.word()) != "}":
                    self._field(message, kind).oneof_index = len(message.oneof_decl) - 1
            else:
                self._field(message, word)

    def enum(self, enum: EnumDescriptorProto) -> None:
        enum.name = self.word()
        self.take("{")
        while (word := self.word()) != "}":
            self.take("=")
            enum.value.add(name=word, number=int(self.word()))
            self.take(";")

    def service(self, service: ServiceDescriptorProto) -> None:
        service.name = self.word()
        self.take("{")
        while self.word() != "}":  # `rpc`
            method = service.method.add(name=self.word())
            method.client_streaming, method.input_type = self._side()
            self.take("returns")
            method.server_streaming, method.output_type = self._side()
            self.take(";")

    def _side(self) -> tuple[bool, str]:
        self.take("(")
        word = self.word()
        streaming = word == "stream"
        kind = self.word() if streaming else word
        self.take(")")
        return streaming, kind

    def _field(self, message: DescriptorProto, word: str) -> FieldDescriptorProto:
        repeated = word in ("repeated", "map")
        if word == "map":
            self.take("<")
            key = self.word()
            self.take(",")
            kind = self.word()
            self.take(">")
        else:
            key, kind = "", self.word() if repeated else word
        name = self.word()
        self.take("=")
        field = message.field.add(name=name, number=int(self.word()))
        self.take(";")
        field.label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
        if key:
            kind = _add_entry(message, name, key, kind)
        _set_type(field, kind)
        return field


def _add_entry(message: DescriptorProto, field: str, key: str, kind: str) -> str:
    """A map is a repeated message of key and value; returns that message's name."""
    entry = message.nested_type.add(name="".join(part.title() for part in field.split("_")) + "Entry")
    entry.options.map_entry = True
    for number, (name, of) in enumerate((("key", key), ("value", kind)), 1):
        one = entry.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
        _set_type(one, of)
    return str(entry.name)


def _set_type(field: FieldDescriptorProto, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type_name = kind


def _resolve(file: FileDescriptorProto, imported: Sequence[FileDescriptorProto]) -> None:
    """Say every type by its full name, as protoc does."""
    package = f".{file.package}"
    kinds: dict[str, int] = {}
    for each in (*imported, file):
        kinds |= _types(f".{each.package}", each.message_type, each.enum_type)
    for message in file.message_type:
        _fix(package, message, kinds)
    for service in file.service:
        for method in service.method:
            method.input_type = _full_name(package, method.input_type, kinds)
            method.output_type = _full_name(package, method.output_type, kinds)


def _types(scope: str, messages: Any, enums: Any) -> Iterator[tuple[str, int]]:
    for enum in enums:
        yield f"{scope}.{enum.name}", FieldDescriptorProto.TYPE_ENUM
    for message in messages:
        full = f"{scope}.{message.name}"
        yield full, FieldDescriptorProto.TYPE_MESSAGE
        yield from _types(full, message.nested_type, message.enum_type)


def _fix(scope: str, message: DescriptorProto, kinds: dict[str, int]) -> None:
    full = f"{scope}.{message.name}"
    for field in message.field:
        if field.type_name:
            field.type_name = _full_name(full, field.type_name, kinds)
            field.type = kinds[field.type_name]
    for inner in message.nested_type:
        _fix(full, inner, kinds)


def _full_name(scope: str, name: str, kinds: dict[str, int]) -> str:
    """*name* as it is meant within *scope*: the innermost that there is."""
    while True:
        if f"{scope}.{name}" in kinds:
            return f"{scope}.{name}"
        if not scope:
            break
        scope = scope.rpartition(".")[0]
    raise ValueError(f"there is no type {name!r}")
