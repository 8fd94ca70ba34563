#define SCRIPT_IMPLEMENTATION
#include "measure/predict/grub/script.h"

#include "base/cleanup.h"
#include "measure/predict/grub/lexer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The parser with its next token. */
struct grammar {
    struct parser *parser;
    struct token token;
    unsigned depth;
};

int script_refuse(const struct source *source, unsigned line, struct error *error, const char *format, ...)
{
    char what[sizeof error->text / 2];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    error_set(error, ERROR_FAILED, "%.200s, line %u: cannot be followed: %s", source->name, line, what);
    return error_remedy(error, "Change the configuration, or suspend the protection before the next boot");
}

unsigned source_line(const struct source *source, size_t index)
{
    return source->lines ? source->lines[index] : (unsigned)index + 1;
}

static bool is_text(const char *bytes, size_t size)
{
    return size <= SCRIPT_MAX_BYTES && (size == 0 || !memchr(bytes, '\0', size));
}

/* Copies the line without carriage returns. */
static size_t copy_line(char *to, const char *line, size_t size)
{
    size_t copied = 0;

    for (size_t i = 0; i < size; i++)
        if (line[i] != '\r')
            to[copied++] = line[i];
    to[copied++] = '\n';
    return copied;
}

int source_from_file(struct pool *pool, const char *name, const char *bytes, size_t size, struct source *ret,
                     struct error *error)
{
    size_t count = 2, kept = 0, text_size = 0;
    unsigned number = 1, *lines;
    char *text;

    if (!is_text(bytes, size))
        return error_set(error, ERROR_FAILED, "%.200s: cannot be followed: no text, or larger than %d bytes", name,
                         SCRIPT_MAX_BYTES);
    for (size_t i = 0; i < size; i++)
        count += bytes[i] == '\n';
    lines = pool_new(pool, count * sizeof *lines);
    text = pool_new(pool, size + 2);
    if (!lines || !text)
        return pool_error(pool, error);
    for (size_t offset = 0; offset < size; number++) {
        const char *line = bytes + offset, *end = memchr(line, '\n', size - offset);
        size_t length = end ? (size_t)(end - line) : size - offset;
        size_t copied = copy_line(text + text_size, line, length);

        if (text[text_size] != '#') {
            lines[kept++] = number;
            text_size += copied;
        }
        offset += length + 1;
    }
    lines[kept] = number;
    *ret = (struct source){ .name = name, .text = text, .size = text_size, .lines = lines };
    return 0;
}

static int refuse(const struct grammar *grammar, struct error *error, const char *what)
{
    return script_refuse(grammar->parser->source, grammar->token.line, error, "%s", what);
}

static int next(struct grammar *grammar, struct error *error)
{
    return lexer_next(grammar->parser, &grammar->token, error);
}

static bool is_delimiter(const struct grammar *grammar)
{
    return grammar->token.kind == TOKEN_NEWLINE || grammar->token.kind == TOKEN_SEMICOLON;
}

static int skip_newlines(struct grammar *grammar, struct error *error)
{
    int r = 0;

    while (!r && grammar->token.kind == TOKEN_NEWLINE)
        r = next(grammar, error);
    return r;
}

/* A reserved word that must be next. */
static int expect(struct grammar *grammar, const char *reserved, struct error *error)
{
    if (!token_is(&grammar->token, reserved))
        return script_refuse(grammar->parser->source, grammar->token.line, error, "a \"%s\" is missing", reserved);
    return next(grammar, error);
}

static int new_node(struct grammar *grammar, enum node_kind kind, struct node **ret, struct error *error)
{
    *ret = pool_new(grammar->parser->pool, sizeof **ret);
    if (!*ret)
        return pool_error(grammar->parser->pool, error);
    **ret = (struct node){ .kind = kind, .source = grammar->parser->source, .line = grammar->token.line };
    return 0;
}

static int parse_command(struct grammar *grammar, struct node **ret, struct error *error);

/* commands, with ";" or newlines between them, up to what is none: at least one, with a delimiter behind the last where
 * the language wants one. */
static int parse_list(struct grammar *grammar, bool delimited, struct node **ret, struct error *error)
{
    int r = skip_newlines(grammar, error);

    if (grammar->depth == SCRIPT_MAX_DEPTH)
        return refuse(grammar, error, "too many constructs within each other");
    grammar->depth++;
    do {
        bool separated;

        r = r ?: parse_command(grammar, ret, error);
        if (r)
            return r;
        ret = &(*ret)->next;
        separated = is_delimiter(grammar);
        if (separated)
            r = next(grammar, error) ?: skip_newlines(grammar, error);
        if (!r && !separated && (delimited || grammar->token.kind != TOKEN_CLOSE))
            return refuse(grammar, error, "a \";\" or the end of the line is missing");
    } while (!r && grammar->token.kind == TOKEN_WORD && !token_is(&grammar->token, "then") &&
             !token_is(&grammar->token, "do") && !token_is(&grammar->token, "done") &&
             !token_is(&grammar->token, "fi") && !token_is(&grammar->token, "else") &&
             !token_is(&grammar->token, "elif"));
    grammar->depth--;
    return r;
}

/* Behind "if" or "elif", up to and with the "fi" that ends them all. */
static int parse_if(struct grammar *grammar, struct node **ret, struct error *error)
{
    int r = new_node(grammar, NODE_IF, ret, error);

    r = r ?: parse_list(grammar, true, &(*ret)->condition, error);
    r = r ?: expect(grammar, "then", error);
    r = r ?: parse_list(grammar, true, &(*ret)->body, error);
    if (r)
        return r;
    if (token_is(&grammar->token, "elif")) {
        if (grammar->depth == SCRIPT_MAX_DEPTH)
            return refuse(grammar, error, "too many constructs within each other");
        grammar->depth++;
        r = next(grammar, error) ?: parse_if(grammar, &(*ret)->otherwise, error);
        grammar->depth--;
        return r;
    }
    if (token_is(&grammar->token, "else"))
        r = next(grammar, error) ?: parse_list(grammar, true, &(*ret)->otherwise, error);
    return r ?: expect(grammar, "fi", error);
}

static int parse_loop_body(struct grammar *grammar, struct node *node, struct error *error)
{
    return expect(grammar, "do", error)
               ?: parse_list(grammar, true, &node->body, error)
               ?: expect(grammar, "done", error);
}

static int parse_while(struct grammar *grammar, enum node_kind kind, struct node **ret, struct error *error)
{
    return new_node(grammar, kind, ret, error)
               ?: next(grammar, error)
               ?: parse_list(grammar, true, &(*ret)->condition, error)
               ?: parse_loop_body(grammar, *ret, error);
}

static int add_word(struct grammar *grammar, struct part *parts, struct word ***end, struct error *error)
{
    struct word *word = pool_new(grammar->parser->pool, sizeof *word);

    if (!word)
        return pool_error(grammar->parser->pool, error);
    word->parts = parts;
    **end = word;
    *end = &word->next;
    return 0;
}

static int parse_words(struct grammar *grammar, struct word ***end, struct error *error)
{
    int r = 0;

    while (!r && grammar->token.kind == TOKEN_WORD) {
        if (token_is(&grammar->token, "[[") || token_is(&grammar->token, "]]"))
            return refuse(grammar, error, "\"[[\" and \"]]\"");
        r = add_word(grammar, grammar->token.parts, end, error) ?: next(grammar, error);
    }
    return r;
}

/* The name, a copy in the pool. */
static int parse_name(struct grammar *grammar, const char **ret, struct error *error)
{
    if (!token_is_name(&grammar->token) || token_is_reserved(&grammar->token))
        return refuse(grammar, error, "a name is missing");
    *ret = pool_copy(grammar->parser->pool, grammar->token.raw, grammar->token.size);
    return *ret ? next(grammar, error) : pool_error(grammar->parser->pool, error);
}

static int parse_for(struct grammar *grammar, struct node **ret, struct error *error)
{
    struct word **end;
    int r = new_node(grammar, NODE_FOR, ret, error) ?: next(grammar, error);

    r = r ?: parse_name(grammar, &(*ret)->name, error);
    r = r ?: expect(grammar, "in", error);
    if (r)
        return r;
    end = &(*ret)->words;
    r = parse_words(grammar, &end, error);
    if (!r && !is_delimiter(grammar))
        return refuse(grammar, error, "a \";\" or the end of the line is missing");
    r = r ?: next(grammar, error) ?: skip_newlines(grammar, error);
    return r ?: parse_loop_body(grammar, *ret, error);
}

/* Checks that a block holds commands, and leaves its closing brace as the token. Functions have no place in one. */
static int parse_braces(struct grammar *grammar, bool delimited, struct node **ret, struct error *error)
{
    int r = next(grammar, error) ?: parse_list(grammar, delimited, ret, error);

    if (!r && grammar->token.kind != TOKEN_CLOSE)
        return refuse(grammar, error, "a \"}\" is missing");
    return r;
}

/* A block as an argument: its text as it stands. */
static int parse_block(struct grammar *grammar, struct word ***end, struct error *error)
{
    const char *from = grammar->token.raw;
    struct part *part = pool_new(grammar->parser->pool, sizeof *part);
    struct node *unused = NULL;
    int r = part ? 0 : pool_error(grammar->parser->pool, error);

    r = r ?: parse_braces(grammar, false, &unused, error);
    if (r)
        return r;
    part->kind = PART_BLOCK;
    part->text = pool_copy(grammar->parser->pool, from, (size_t)(grammar->token.raw + 1 - from));
    if (!part->text)
        return pool_error(grammar->parser->pool, error);
    return add_word(grammar, part, end, error) ?: next(grammar, error);
}

static int parse_simple(struct grammar *grammar, struct node **ret, struct error *error)
{
    struct word **end;
    int r;

    if (grammar->token.kind != TOKEN_WORD || token_is_reserved(&grammar->token))
        return refuse(grammar, error, "a command is missing");
    r = new_node(grammar, NODE_COMMAND, ret, error);
    if (r)
        return r;
    end = &(*ret)->words;
    r = parse_words(grammar, &end, error);
    if (!r && grammar->token.kind == TOKEN_OPEN)
        r = parse_block(grammar, &end, error);
    return r;
}

static int parse_command(struct grammar *grammar, struct node **ret, struct error *error)
{
    *ret = NULL;
    if (token_is(&grammar->token, "if"))
        return next(grammar, error) ?: parse_if(grammar, ret, error);
    if (token_is(&grammar->token, "while"))
        return parse_while(grammar, NODE_WHILE, ret, error);
    if (token_is(&grammar->token, "until"))
        return parse_while(grammar, NODE_UNTIL, ret, error);
    if (token_is(&grammar->token, "for"))
        return parse_for(grammar, ret, error);
    return parse_simple(grammar, ret, error);
}

static int parse_function(struct grammar *grammar, struct error *error)
{
    struct function *function = pool_new(grammar->parser->pool, sizeof *function);
    int r = function ? 0 : pool_error(grammar->parser->pool, error);

    r = r ?: next(grammar, error);
    r = r ?: parse_name(grammar, &function->name, error);
    r = r ?: skip_newlines(grammar, error);
    if (!r && grammar->token.kind != TOKEN_OPEN)
        return refuse(grammar, error, "a \"{\" is missing");
    r = r ?: parse_braces(grammar, true, &function->body, error);
    if (r)
        return r;
    function->next = *grammar->parser->functions;
    *grammar->parser->functions = function;
    return next(grammar, error);
}

/* One statement, with what is behind it: *more is false when the piece ends there, at the end of a line. */
static int parse_statement(struct grammar *grammar, struct node ***end, bool *more, struct error *error)
{
    int r;

    if (token_is(&grammar->token, "function")) {
        r = parse_function(grammar, error);
    } else {
        r = parse_command(grammar, *end, error);
        if (!r)
            *end = &(**end)->next;
    }
    *more = grammar->token.kind == TOKEN_SEMICOLON;
    if (!r && grammar->token.kind != TOKEN_NEWLINE && !*more)
        return refuse(grammar, error, "a \";\" or the end of the line is missing");
    return r;
}

int script_next(struct parser *parser, struct node **ret, bool *more, struct error *error)
{
    struct grammar grammar = { .parser = parser };
    struct node **end = ret;
    bool goes_on = true;
    int r = 0;

    *ret = NULL;
    while (!r && goes_on) {
        r = next(&grammar, error);
        if (!r && (grammar.token.kind == TOKEN_NEWLINE || grammar.token.kind == TOKEN_END))
            break;
        r = r ?: parse_statement(&grammar, &end, &goes_on, error);
    }
    *more = grammar.token.kind != TOKEN_END;
    return r;
}
