/** What a `%COMMAND%` of a header value can read. */
export interface FormatContext {
  /** A request header or pseudo header (lower case) as it stands now; its first value. */
  requestHeader(name: string): string | undefined
  /** A response header (lower case); `undefined` before the response. */
  responseHeader(name: string): string | undefined
  /** Any other command, such as `PROTOCOL` or `UPSTREAM_HOST`. `undefined` when there is no such value here. */
  command(name: FormatCommand): string | undefined
}

/** The commands beside `REQ`, `RESP`, `START_TIME`, `ENVIRONMENT` and the ones that are always empty in a client. */
export const formatCommands = [
  'PROTOCOL',
  'UPSTREAM_PROTOCOL',
  'RESPONSE_CODE',
  'RESPONSE_FLAGS',
  'ROUTE_NAME',
  'VIRTUAL_CLUSTER_NAME',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_CLUSTER_RAW',
  'UPSTREAM_HOST',
  'UPSTREAM_HOST_NAME',
  'UPSTREAM_REMOTE_ADDRESS',
  'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_REMOTE_PORT',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'START_TIME',
  'HOSTNAME',
  'REQUEST_DURATION',
  'RESPONSE_DURATION',
  'DURATION',
  'TRACE_ID',
  'STREAM_ID',
  'UNIQUE_ID',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_REMOTE_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_PORT',
  'REQUESTED_SERVER_NAME',
] as const

export type FormatCommand = (typeof formatCommands)[number]

/** Commands that read what only a proxy has: legal, and without a value in the process that makes the call. */
const proxyOnly =
  /^(DOWNSTREAM_[A-Z0-9_]+|UPSTREAM_[A-Z0-9_]+|DYNAMIC_METADATA|CLUSTER_METADATA|UPSTREAM_METADATA|FILTER_STATE|UPSTREAM_FILTER_STATE|PER_REQUEST_STATE|CONNECTION_[A-Z_]+|TRAILER|GRPC_STATUS|GRPC_STATUS_NUMBER|METADATA|REQ_WITHOUT_QUERY|RESPONSE_[A-Z_]+|REQUEST_[A-Z_]+|BYTES_[A-Z]+|FILTER_CHAIN_NAME|LOCAL_REPLY_BODY|START_TIME_LOCAL|EMIT_TIME|COMMON_DURATION|REQUEST_TX_DURATION|RESPONSE_TX_DURATION|TLS_JA3_FINGERPRINT|PATH|QUERY_PARAM|CEL|SECRET|CUSTOM_FLAGS)$/

/** One parsed header value: literal text and commands. */
export interface HeaderFormat {
  /** The value; a command without a value contributes nothing. */
  format(context: FormatContext): string
  /** No commands: the value is always this text. */
  readonly literal: string | undefined
}

type Part = string | ((context: FormatContext) => string | undefined)

/**
 * Parses a header value with Envoy's `%COMMAND(argument):length%` operators; `%%` is a percent sign.
 *
 * @throws Error naming the operator that is not understood
 */
export function parseHeaderFormat(text: string): HeaderFormat {
  if (!text.includes('%')) return { literal: text, format: () => text }
  const parts: Part[] = []
  let literal = ''
  let at = 0
  while (at < text.length) {
    const char = text.charAt(at)
    if (char !== '%') {
      literal += char
      at++
      continue
    }
    if (text.charAt(at + 1) === '%') {
      literal += '%'
      at += 2
      continue
    }
    const operator = /^%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::(\d+))?%/.exec(text.slice(at))
    if (operator === null) throw new Error(`has a % at ${at} that begins no operator`)
    if (literal !== '') parts.push(literal)
    literal = ''
    parts.push(truncated(command(operator[1] ?? '', operator[2]), operator[3]))
    at += operator[0].length
  }
  if (parts.length === 0) return { literal, format: () => literal }
  if (literal !== '') parts.push(literal)
  return { literal: undefined, format: context => formatParts(parts, context) }
}

function formatParts(parts: readonly Part[], context: FormatContext): string {
  let value = ''
  for (const part of parts) value += typeof part === 'string' ? part : (part(context) ?? '')
  return value
}

function truncated(part: Exclude<Part, string>, length: string | undefined): Part {
  if (length === undefined) return part
  return context => part(context)?.slice(0, Number(length))
}

function command(name: string, argument: string | undefined): Exclude<Part, string> {
  if (name === 'REQ' || name === 'RESP') {
    if (argument === undefined || argument === '') throw new Error(`has %${name}% without a header name`)
    const [main = '', alternative] = argument.toLowerCase().split('?')
    if (name === 'REQ') {
      return context =>
        context.requestHeader(main) ?? (alternative === undefined ? undefined : context.requestHeader(alternative))
    }
    return context =>
      context.responseHeader(main) ?? (alternative === undefined ? undefined : context.responseHeader(alternative))
  }
  if (name === 'ENVIRONMENT') {
    const value = process.env[argument ?? '']
    return () => value
  }
  const known = formatCommands.find(each => each === name)
  if (known !== undefined) return context => context.command(known)
  if (proxyOnly.test(name)) return () => undefined
  throw new Error(`has the unknown operator %${name}%`)
}
