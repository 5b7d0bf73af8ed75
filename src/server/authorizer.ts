import { checkPath, decodeCheckResponse, encodeCheckRequest } from '../discovery/check-codec.ts'
import type { CheckAttributes } from '../policies/ext-authz/check-attributes.ts'
import type { CheckDecision } from '../policies/ext-authz/check-decision.ts'
import type { ExtAuthzConfig, GrpcAuthorizer, HttpAuthorizer, NamedValue } from '../policies/ext-authz/ext-authz-config.ts'
import { HttpCheckDialect } from '../policies/ext-authz/http-check.ts'
import { type FormatContext, parseHeaderFormat } from '../policies/header-format.ts'
import type { AuthorizerCalls } from './authorizer-calls.ts'

/** Who decides about requests in the place of a server. */
export interface Authorizer {
  /**
   * Asks about one request.
   *
   * @param context of the request, for headers that are added
   * @param isRawBody the body is told as bytes
   * @throws when there is no answer
   */
  check(attributes: CheckAttributes, context: FormatContext, isRawBody: boolean, signal: AbortSignal): Promise<CheckDecision>
}

/** The authorizer that a filter names. @throws Error when a regex is none */
export function makeAuthorizer(config: ExtAuthzConfig, calls: AuthorizerCalls): Authorizer {
  const { authorizer, encodesRawHeaders } = config
  return authorizer.kind === 'grpc' ? grpc(authorizer, encodesRawHeaders, calls) : http(authorizer, calls)
}

function grpc({ cluster, authority, metadata }: GrpcAuthorizer, encodesRawHeaders: boolean, calls: AuthorizerCalls): Authorizer {
  const added = compile(metadata)
  return {
    async check(attributes, context, isRawBody, signal) {
      const message = encodeCheckRequest(attributes, { encodesRawHeaders, isRawBody })
      return decodeCheckResponse(await calls.unary(cluster, authority, checkPath, message, added(context), signal))
    },
  }
}

function http(authorizer: HttpAuthorizer, calls: AuthorizerCalls): Authorizer {
  const dialect = new HttpCheckDialect(authorizer)
  const added = compile(authorizer.headersToAdd)
  return {
    async check(attributes, context, _isRawBody, signal) {
      return dialect.decision(await calls.http(authorizer.cluster, dialect.request(attributes, added(context)), signal))
    },
  }
}

/** Names and values in turn. A value that comes out empty is left out. */
function compile(values: readonly NamedValue[]): (context: FormatContext) => readonly string[] {
  const formats = values.map(({ name, value }) => ({ name, format: parseHeaderFormat(value) }))
  return context =>
    formats.flatMap(({ name, format }) => {
      const value = format.format(context)
      return value === '' ? [] : [name, value]
    })
}
