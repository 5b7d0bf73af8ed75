import assert from 'node:assert/strict'
import { type DescMessage, fromJson, type JsonValue, toBinary } from '@bufbuild/protobuf'
import { knownTypes } from '../../src/discovery/known-types.ts'
import type { DecodedResource, ResourceType } from '../../src/discovery/resources/decode.ts'

/** Encodes a resource from its JSON mapping and decodes it as a client would. */
export function decodeJson<T>(type: ResourceType<T>, schema: DescMessage, json: JsonValue): DecodedResource<T> {
  return type.decode(toBinary(schema, fromJson(schema, json, { registry: knownTypes })))
}

/** The model of a resource that must be good. */
export function decodeGood<T>(type: ResourceType<T>, schema: DescMessage, json: JsonValue): T {
  const { decoded } = decodeJson(type, schema, json)
  assert.ok(decoded.ok, decoded.ok ? '' : decoded.errors.join('\n'))
  return decoded.value
}

/** The errors of a resource that must be bad, without the resource's own name in front. */
export function errorsOf<T>(type: ResourceType<T>, schema: DescMessage, json: JsonValue): readonly string[] {
  const { name, decoded } = decodeJson(type, schema, json)
  assert.ok(!decoded.ok, 'was accepted')
  const label = `${type.kind} ${JSON.stringify(name)}: `
  for (const error of decoded.errors) assert.ok(error.startsWith(label), error)
  return decoded.errors.map(error => error.slice(label.length))
}
