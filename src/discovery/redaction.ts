import { type DescMessage, fromBinary, type JsonObject, type JsonValue, toBinary } from '@bufbuild/protobuf'
import { ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.ts'
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.ts'
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.ts'
import { knownTypes } from './known-types.ts'
import { typeName } from './resources/any.ts'

/** What stands in place of a secret. */
const redacted = '[redacted]'

/** Resources that may hold a transport socket, or anything else that is configured by an `Any`. */
const schemas: readonly DescMessage[] = [ListenerSchema, ClusterSchema, RouteConfigurationSchema]

/** The fields of `DataSource` that are secret (those that Envoy marks as sensitive), by message. */
const secretFields: Readonly<Record<string, readonly string[]>> = {
  'envoy.extensions.transport_sockets.tls.v3.TlsCertificate': ['privateKey', 'pkcs12', 'password', 'privateKeyProvider'],
  'envoy.extensions.transport_sockets.tls.v3.TlsSessionTicketKeys': ['keys'],
  'envoy.extensions.transport_sockets.tls.v3.GenericSecret': ['secret', 'secrets'],
}
/** The same by their names in the JSON of a `TypedStruct`. */
const secretNames = new Set(['private_key', 'privateKey', 'pkcs12', 'password', 'private_key_provider', 'privateKeyProvider'])

/**
 * A resource as it arrived, but with `[redacted]` for every private key, password and ticket key. One without any is the very bytes that came.
 *
 * @returns `undefined` where a key is left that stands where none is known, or the resource cannot be read: better none than that
 */
export function withoutSecrets(typeUrl: string, bytes: Uint8Array): Uint8Array | undefined {
  const schema = schemas.find(each => each.typeName === typeName(typeUrl))
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (schema === undefined || !text.includes('transport_sockets')) return hasKey(text) ? undefined : bytes
  try {
    const message = fromBinary(schema, bytes)
    const clean = redact(message) ? toBinary(schema, message) : bytes
    return hasKey(Buffer.from(clean)) ? undefined : clean
  } catch {
    return undefined
  }
}

/** PEM, or the private part of a JSON Web Key, escaped as it may be inside other JSON. */
function hasKey(text: Buffer): boolean {
  if (text.includes('PRIVATE KEY-----')) return true
  return text.includes('kty') && /\\?"[dk]\\?"\s*:\s*\\?"/.test(text.toString('latin1'))
}

/** Whether there was something to redact in a message, a list or a map of them. */
function redact(value: unknown): boolean {
  if (Array.isArray(value)) return value.map(redact).includes(true)
  if (!isRecord(value) || value instanceof Uint8Array) return false
  const { $typeName: type } = value
  if (type === 'google.protobuf.Any') return redactAny(value)
  if (typeof type === 'string' && type.endsWith('.TypedStruct') && isJsonObject(value.value)) return redactJson(value.value)
  const secrets = typeof type === 'string' ? (secretFields[type] ?? []) : []
  let isChanged = false
  for (const [field, inner] of Object.entries(value)) {
    if (field.startsWith('$')) continue
    if (!secrets.includes(field)) isChanged = redact(inner) || isChanged
    else if (inner !== undefined) {
      value[field] = redactSecret(inner)
      isChanged = true
    }
  }
  return isChanged
}

/** Where a secret is kept stays; what it is goes. */
function redactSecret(secret: unknown): unknown {
  if (Array.isArray(secret)) return secret.map(redactSecret)
  if (!isRecord(secret)) return undefined
  if (secret.$typeName !== 'envoy.config.core.v3.DataSource') return undefined
  const { specifier } = secret
  const isInline = isRecord(specifier) && typeof specifier.case === 'string' && specifier.case.startsWith('inline')
  return isInline ? { ...secret, specifier: { case: 'inlineString', value: redacted } } : secret
}

function redactAny(any: Record<string, unknown>): boolean {
  const schema = typeof any.typeUrl === 'string' ? knownTypes.getMessage(typeName(any.typeUrl)) : undefined
  if (schema === undefined || !(any.value instanceof Uint8Array)) return false
  const inner = fromBinary(schema, any.value)
  if (!redact(inner)) return false
  any.value = toBinary(schema, inner)
  return true
}

function redactJson(json: JsonObject): boolean {
  let isChanged = false
  for (const [name, inner] of Object.entries(json)) {
    if (secretNames.has(name)) {
      json[name] = redacted
      isChanged = true
    } else
      for (const each of Array.isArray(inner) ? inner : [inner]) if (isJsonObject(each)) isChanged = redactJson(each) || isChanged
  }
  return isChanged
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isJsonObject(value: unknown): value is JsonObject & Record<string, JsonValue> {
  return isRecord(value) && !Array.isArray(value)
}
