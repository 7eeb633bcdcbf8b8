"""Finds the simple commands in shell text.

Only the constructs that are listed here are supported; any other one makes the whole text an error. So the result has
every command that the text can run, except those that the commands start themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from streams.policy.errors import EvaluationError
from streams.policy.ext.shell_files import expanded_names
from streams.policy.ext.shell_parser import TREE_DEPTH_MAX, parse_shell
from streams.policy.ext.shell_words import PLAIN_VARIABLE, Word, read_word, source_of

_PLAIN_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]+\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TOKENS = frozenset(
    (
        *(";", "&", "\n", "&&", "||", "|", "|&", "(", ")", "{", "}", "!", "in", "[", "]", "[[", "]]"),
        *("if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac"),
    )
)
_PLAIN_STATEMENTS = frozenset(
    (
        *("program", "list", "subshell", "compound_statement", "negated_command", "do_group"),
        *("if_statement", "elif_clause", "else_clause"),
    )
)
_TEST_PARTS = frozenset(("unary_expression", "binary_expression", "negation", "parenthesized_expression"))
_TEST_TOKENS = frozenset(("!", "=", "==", "!="))
"""Without `&&`, `||`, `<`, `>` and parentheses: dash, and every shell in `[ ]`, reads them as operators of its own."""

_WORDS = frozenset(
    (
        *("word", "number", "string", "raw_string", "ansi_c_string", "concatenation", "simple_expansion", "expansion"),
        *("command_substitution", "process_substitution", "arithmetic_expansion", "brace_expression"),
    )
)
EVALUATING_VARIABLES = frozenset(
    (
        *("RANDOM", "SRANDOM", "SECONDS", "LINENO", "OPTIND", "HISTCMD", "BASHPID", "PPID", "UID", "EUID"),
        *("BASH_SUBSHELL", "EPOCHSECONDS", "BASH_ARGV0", "COLUMNS", "LINES", "HISTSIZE", "IFS", "BASH_ENV", "ENV"),
        *("PS0", "PS1", "PS2", "PS4", "PROMPT_COMMAND", "SHELLOPTS", "BASHOPTS", "CDPATH", "GLOBIGNORE", "OLDPWD"),
    )
)
"""Variables of bash that evaluate their values, or that change how the following text or its paths are read."""

_DELIMITER = re.compile(r"""(?:[A-Za-z0-9_.-]+|'[A-Za-z0-9_.-]+'|"[A-Za-z0-9_.-]+"|\\[A-Za-z0-9_.-]+)\Z""")

_INPUT_REDIRECTS = frozenset(("<",))
_CLOSING = frozenset(("<&-", ">&-"))
_OUTPUT_REDIRECTS = frozenset((">", ">>", ">|", "&>", "&>>", "<>"))


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The context of a command: in a pipeline after another command, inside a substitution, or in a loop."""

    piped: bool = False
    substituted: bool = False
    looped: bool = False

    def within(self, outer: CommandContext) -> CommandContext:
        """Return this context, inside another one."""
        return CommandContext(
            self.piped or outer.piped, self.substituted or outer.substituted, self.looped or outer.looped
        )


@dataclass(frozen=True, slots=True)
class Redirect:
    """The target of a redirection, and how many commands of the text come before it."""

    target: Word
    commands_before: int


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """A simple command.

    Attributes:
        words: the words; the first one is the name.
        env: the variables that are set for this command only.
        line: the source text.
        context: where the command is.
    """

    words: tuple[Word, ...]
    env: tuple[str, ...]
    line: str
    context: CommandContext


@dataclass(slots=True)
class Script:
    """The commands that a text can run, the targets of its redirections, and the variables that it reads."""

    commands: list[SimpleCommand] = field(default_factory=list)
    reads: list[Redirect] = field(default_factory=list)
    writes: list[Redirect] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)


def read_script(text: str) -> Script:
    """Return every simple command of a text.

    Raises:
        EvaluationError: the text does not parse as a whole, is too large, or has an unsupported construct.
    """
    root = parse_shell(text)
    script = Script()
    _Reader(script).statement(root, CommandContext(), 0)
    return script


class _Reader:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._handlers: dict[str, Callable[[Any, CommandContext, int], None]] = {
            "command": self._command,
            "pipeline": self._pipeline,
            "redirected_statement": self._redirected,
            "for_statement": self._for,
            "while_statement": self._while,
            "case_statement": self._case,
            "variable_assignment": self._lone_assignment,
            "variable_assignments": self._assignments,
            "declaration_command": self._declaration,
            "unset_command": self._declaration,
            "test_command": self._test,
        }

    def statement(self, node: Any, context: CommandContext, depth: int) -> None:
        if depth > TREE_DEPTH_MAX:
            raise EvaluationError("shell text is nested too deeply")
        if node.type == "comment" or (not node.is_named and node.type in _TOKENS):
            return
        if node.type in _PLAIN_STATEMENTS:
            for child in node.children:
                self.statement(child, context, depth + 1)
            return
        handler = self._handlers.get(node.type)
        if handler is None:
            raise EvaluationError(f"shell text has an unsupported construct: {node.type}")
        handler(node, context, depth)

    def _word(self, node: Any, context: CommandContext, depth: int) -> Word:
        if node.type not in _WORDS:
            raise EvaluationError(f"shell text has an unsupported construct: {node.type}")
        reading = read_word(node)
        self._script.variables += reading.variables
        for substitution in reading.substitutions:
            self._substitution(substitution, context, depth)
        return reading.word

    def _substitution(self, node: Any, context: CommandContext, depth: int) -> None:
        inner = replace(context, substituted=True)
        if node.children[0].type == "`" and "\\" in source_of(node):
            raise EvaluationError("shell text has a backslash within backticks")
        for child in node.children:
            if child.type == "file_redirect":
                self._redirect(child, inner, depth + 1)
            elif child.is_named:
                self.statement(child, inner, depth + 1)
            elif child.type not in ("$(", ")", "`", "<(", ">(", ";", "&", "\n"):
                raise EvaluationError("shell text has an unsupported substitution")

    def _command(self, node: Any, context: CommandContext, depth: int) -> None:
        words: list[Word] = []
        env: list[str] = []
        for child in node.children:
            if child.type == "variable_assignment":
                # An assignment can change the meaning of the name, so it is a command of its own.
                self._lone_assignment(child, context, depth)
                env.append(self._script.commands[-1].env[0])
            elif child.type == "command_name":
                words.append(self._word(child.children[0], context, depth))
                if len(child.children) != 1:
                    raise EvaluationError("shell text has an unsupported command name")
            elif child.type in ("file_redirect", "herestring_redirect", "heredoc_redirect"):
                self._redirect(child, context, depth)
            else:
                words.append(self._word(child, context, depth))
        if not words:
            raise EvaluationError("shell text has a command without a name")
        self._script.commands.append(SimpleCommand(tuple(words), tuple(env), source_of(node), context))

    def _assignment(self, node: Any, context: CommandContext, depth: int) -> str:
        """Read an assignment and return the name of the variable."""
        name = ""
        for child in node.children:
            if child.type == "variable_name":
                name = source_of(child)
                if not _VARIABLE.match(name):
                    raise EvaluationError("shell text has an unsupported assignment")
            elif child.type == "array":
                for item in child.children:
                    if item.is_named:
                        self._word(item, context, depth)
            elif child.is_named:
                self._word(child, context, depth)
            elif child.type != "=":
                # To dash, `x+=1` is the name of a command.
                raise EvaluationError("shell text has an unsupported assignment")
        if name in EVALUATING_VARIABLES:
            raise EvaluationError("shell text assigns to a variable whose value is evaluated")
        if not name:
            # The index of an array element is arithmetic, which can run commands.
            raise EvaluationError("shell text assigns to an element of an array")
        return name

    def _lone_assignment(self, node: Any, context: CommandContext, depth: int) -> None:
        name = self._assignment(node, context, depth)
        self._script.commands.append(SimpleCommand((Word("="),), (name,), source_of(node), context))

    def _assignments(self, node: Any, context: CommandContext, depth: int) -> None:
        for child in node.children:
            self._lone_assignment(child, context, depth)

    def _declaration(self, node: Any, context: CommandContext, depth: int) -> None:
        """Read `export`, `declare`, `unset` and similar commands."""
        words: list[Word] = []
        for child in node.children:
            if not child.is_named or child.type == "variable_name":
                words.append(Word(source_of(child)))
            elif child.type == "variable_assignment":
                self._assignment(child, context, depth)
                words.append(Word(source_of(child), literal=False))
            else:
                words.append(self._word(child, context, depth))
        self._script.commands.append(SimpleCommand(tuple(words), (), source_of(node), context))

    def _pipeline(self, node: Any, context: CommandContext, depth: int) -> None:
        inner = context
        for child in node.children:
            if child.is_named:
                self.statement(child, inner, depth + 1)
                inner = replace(context, piped=True)
            elif child.type not in ("|", "|&"):
                raise EvaluationError("shell text has an unsupported pipeline")

    def _redirected(self, node: Any, context: CommandContext, depth: int) -> None:
        has_body = False
        for child in node.children:
            if child.type in ("file_redirect", "herestring_redirect", "heredoc_redirect"):
                self._redirect(child, context, depth)
            else:
                has_body = True
                self.statement(child, context, depth + 1)
        if not has_body:
            self._script.commands.append(SimpleCommand((Word(">"),), (), source_of(node), context))

    def _redirect(self, node: Any, context: CommandContext, depth: int) -> None:
        if node.type == "heredoc_redirect":
            self._heredoc(node)
            return
        sign, targets = self._redirect_parts(node, context, depth)
        if node.type == "herestring_redirect":
            return
        if sign in _CLOSING:
            # The parser takes a word behind it for a part of it. To every shell, it is a word of the command.
            if targets:
                raise EvaluationError("shell text has a word behind a descriptor that is closed")
            return
        if sign in ("<&", ">&"):
            # Anything but a descriptor is the name of a file here, and is expanded twice.
            if len(targets) != 1 or not targets[0].literal or not _is_descriptor(targets[0].text):
                raise EvaluationError("shell text has an unsupported redirection")
            return
        if len(targets) != 1 or targets[0].splits:
            raise EvaluationError("shell text has an unsupported redirection")
        if sign in _INPUT_REDIRECTS:
            self._script.reads.append(Redirect(targets[0], len(self._script.commands)))
        elif sign in _OUTPUT_REDIRECTS:
            self._script.writes.append(Redirect(targets[0], len(self._script.commands)))
        else:
            raise EvaluationError("shell text has an unsupported redirection")

    def _redirect_parts(self, node: Any, context: CommandContext, depth: int) -> tuple[str, list[Word]]:
        sign, targets = "", []
        for child in node.children:
            if not child.is_named:
                sign = child.type
            elif child.type == "file_descriptor":
                # To dash, `12> f` is the word 12 and a redirection.
                if not (source_of(child).isdigit() and len(source_of(child)) == 1):
                    raise EvaluationError("shell text has an unsupported redirection")
            else:
                targets.append(self._word(child, context, depth))
        return sign, targets

    def _heredoc(self, node: Any) -> None:
        """Read a here-document. It must not contain expansions, and its line must not contain anything after it."""
        for child in node.children:
            if child.type not in ("<<", "<<-", "heredoc_start", "heredoc_body", "heredoc_end", "file_descriptor"):
                raise EvaluationError("shell text has an unsupported here-document")
            if child.type == "heredoc_start" and not _DELIMITER.match(source_of(child)):
                raise EvaluationError("shell text has an unsupported here-document")
            quoted = any(child.type == "heredoc_start" and source_of(child)[:1] in "'\"\\" for child in node.children)
            if child.type == "heredoc_body" and not quoted and any(mark in source_of(child) for mark in "$`\\"):
                raise EvaluationError("shell text has a here-document with expansions")

    def _while(self, node: Any, context: CommandContext, depth: int) -> None:
        for child in node.children:
            self.statement(child, replace(context, looped=True), depth + 1)

    def _for(self, node: Any, context: CommandContext, depth: int) -> None:
        listed: list[Word] = []
        for child in node.children:
            if child.type in ("do_group", "compound_statement"):
                self.statement(child, replace(context, looped=True), depth + 1)
            elif child.type == "variable_name":
                self._loop_variable(source_of(child), source_of(node), context)
            elif child.is_named:
                listed.append(self._word(child, context, depth))
            elif not child.is_named and child.type not in _TOKENS:
                raise EvaluationError("shell text has an unsupported loop")
        if expanded_names(listed) != ():
            # What the loop goes through is known to its body, as it is to `echo`.
            self._script.commands.append(SimpleCommand((Word("echo"), *listed), (), source_of(node), context))

    def _loop_variable(self, name: str, line: str, context: CommandContext) -> None:
        """Read the variable of a loop, which is an assignment: `for PATH in /tmp` changes what later names mean."""
        if name in EVALUATING_VARIABLES:
            raise EvaluationError("shell text assigns to a variable whose value is evaluated")
        if not PLAIN_VARIABLE.match(name):
            self._script.commands.append(SimpleCommand((Word("="),), (name,), line, context))

    def _case(self, node: Any, context: CommandContext, depth: int) -> None:
        for child in node.children:
            if child.type == "case_item":
                self._case_item(child, context, depth)
            elif child.is_named:
                self._word(child, context, depth)
            elif child.type not in _TOKENS:
                raise EvaluationError("shell text has an unsupported case")

    def _case_item(self, node: Any, context: CommandContext, depth: int) -> None:
        for index, child in enumerate(node.children):
            if child.type == "extglob_pattern":
                if not _PLAIN_PATTERN.match(source_of(child)):
                    raise EvaluationError("shell text has an unsupported pattern")
            elif node.field_name_for_child(index) == "value":
                self._word(child, context, depth)
            elif child.is_named or child.type not in (*_TOKENS, ";;", ";&", ";;&"):
                self.statement(child, context, depth + 1)

    def _test(self, node: Any, context: CommandContext, depth: int) -> None:
        kind = source_of(node.children[0])
        if "\n" in source_of(node):
            raise EvaluationError("shell text has a test over several lines")
        if kind not in ("[", "[["):
            raise EvaluationError("shell text has an unsupported construct: arithmetic")
        words = [Word(kind), *self._test_words(node.children[1:-1], context, depth)]
        if kind == "[[" and not all(word.literal for word in words):
            # Inside [[ ]], numbers are arithmetic expressions, which can run commands.
            raise EvaluationError("shell text has a test of a value that is known only at run time")
        self._script.commands.append(SimpleCommand(tuple(words), (), source_of(node), context))

    def _test_words(self, nodes: list[Any], context: CommandContext, depth: int) -> Iterator[Word]:
        for node in nodes:
            if node.type in _TEST_PARTS:
                yield from self._test_words(node.children, context, depth)
            elif node.type == "test_operator" or node.type in _TEST_TOKENS:
                yield Word(source_of(node))
            else:
                yield self._word(node, context, depth)


def _is_descriptor(text: str) -> bool:
    return text == "-" or text.rstrip("-").isdigit()
