# SPDX-FileCopyrightText: The tracedpubsub Authors
# SPDX-License-Identifier: Apache-2.0
from contextvars import ContextVar


class Context(dict):
    pass


_current = ContextVar("current", default=Context())


def get_current():
    return _current.get()


def attach(ctx):
    return _current.set(ctx)


def detach(token):
    _current.reset(token)
