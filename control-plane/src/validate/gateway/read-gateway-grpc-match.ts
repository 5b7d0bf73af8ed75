import type { PathMatch } from '../../model/virtual-service.ts'
import { readRegex } from '../regex.ts'
import type { Value } from '../value.ts'
import { gatewayMatch } from './gateway-match.ts'
import type { RankedMatch } from './read-gateway-http-match.ts'
import { readHeaderMatches } from './read-value-matches.ts'

/** Longest name of a service or method. */
const maxLength = 1024

const serviceName = /^\.?[a-z_]\w*(\.[a-z_]\w*)*$/i
const methodName = /^[a-z_]\w*$/i

/** Every call. */
export const everyCall: RankedMatch = { match: gatewayMatch(new Map(), { uri: undefined }), precedence: [0], prefix: undefined }

/**
 * Reads one element of `rules[].matches` of a GRPCRoute. It goes before others by the length of its service, then of its method, then
 * by the number of headers; of services and of methods, those that are written out go before regular expressions.
 */
export function readGatewayGrpcMatch(value: Value): RankedMatch {
  const fields = value.required().fields('method', 'headers')
  const { uri, precedence } = readMethod(fields.method)
  const headers = readHeaderMatches(fields.headers)
  return { match: gatewayMatch(headers, { uri }), precedence: [...precedence, headers.size], prefix: undefined }
}

function readMethod(value: Value): { readonly uri: PathMatch | undefined; readonly precedence: readonly number[] } {
  if (value.isAbsent) return { uri: undefined, precedence: [0, 0, 0, 0] }
  const fields = value.fields('type', 'service', 'method')
  const isRegex = fields.type.asOneOf(['Exact', 'RegularExpression']) === 'RegularExpression'
  const service = readName(fields.service, isRegex, serviceName)
  const method = readName(fields.method, isRegex, methodName)
  if (fields.service.isAbsent && fields.method.isAbsent) value.error('must have service or method')
  const ofKind = (length: number) => (isRegex ? [0, length] : [length, 0])
  return { uri: pathOf(service, method, isRegex), precedence: [...ofKind(service.length), ...ofKind(method.length)] }
}

function readName(value: Value, isRegex: boolean, syntax: RegExp): string {
  if (value.isAbsent || value.asString() === '') return ''
  const name = (isRegex ? readRegex(value) : value.asString()) ?? ''
  if (!isRegex && name !== '' && !syntax.test(name)) value.error(`is not a name of gRPC: ${JSON.stringify(name)}`)
  if (name.length > maxLength) value.error(`is longer than ${maxLength} characters`)
  return name
}

/** The path of a call is `/service/method`. */
function pathOf(service: string, method: string, isRegex: boolean): PathMatch | undefined {
  if (service === '' && method === '') return undefined
  if (!isRegex && service !== '') return { kind: method === '' ? 'prefix' : 'exact', value: `/${service}/${method}` }
  const [anyService, anyMethod] = ['[^/]+', '.+']
  return { kind: 'regex', value: `/${alternatives(service) || anyService}/${alternatives(method) || anyMethod}` }
}

/** A pattern of its own, so that `a|b` does not reach beyond it. */
const alternatives = (pattern: string) => (pattern.includes('|') ? `(?:${pattern})` : pattern)
