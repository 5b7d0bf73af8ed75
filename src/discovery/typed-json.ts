import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageShape,
} from '@bufbuild/protobuf'
import { AnySchema } from '@bufbuild/protobuf/wkt'
import { TypedStructSchema } from './gen/xds/type/v3/typed_struct_pb.ts'
import { knownTypes } from './known-types.ts'
import { opaqueTypes } from './opaque-types.ts'
import { typeName, typeUrlOf } from './resources/any.ts'

/** Where in a document something is wrong, and what. */
export interface JsonProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/**
 * Reads a message from its JSON mapping. Unlike `fromJson` of the library it finds every mistake, not the first, and tells where
 * each is; a field that does not exist is one. Extensions of types that are not known here are kept as `TypedStruct`.
 *
 * @returns `undefined` when there are problems
 */
export function readTypedJson<Desc extends DescMessage>(
  schema: Desc,
  json: JsonValue,
  path: readonly (string | number)[],
  problems: JsonProblem[],
): MessageShape<Desc> | undefined {
  const before = problems.length
  const prepared = prepareMessage(schema, json, path, problems)
  if (problems.length > before) return undefined
  try {
    return fromJson(schema, prepared, { registry: knownTypes })
  } catch (error) {
    problems.push({ path, message: reason(error) })
    return undefined
  }
}

type Path = readonly (string | number)[]

function prepareMessage(schema: DescMessage, json: JsonValue, path: Path, problems: JsonProblem[]): JsonValue {
  if (schema.typeName === AnySchema.typeName) return prepareAny(json, path, problems)
  if (schema.typeName.startsWith('google.protobuf.')) return checkValue(schema, json, path, problems)
  if (!isObject(json)) {
    problems.push({ path, message: `must be an object, got ${JSON.stringify(json)}` })
    return {}
  }
  if (opaqueTypes.has(schema.typeName)) return {}
  const prepared: JsonObject = {}
  const oneofs = new Map<string, string>()
  for (const [key, value] of Object.entries(json)) {
    const field = schema.fields.find(each => each.name === key || each.jsonName === key)
    if (field === undefined) {
      problems.push({ path: [...path, key], message: 'is not a field' })
      continue
    }
    if (value === null) continue
    const rival = field.oneof && oneofs.get(field.oneof.name)
    if (rival !== undefined) problems.push({ path: [...path, key], message: `excludes ${rival}` })
    if (field.oneof) oneofs.set(field.oneof.name, key)
    prepared[field.jsonName] = prepareField(schema, field, value, [...path, key], problems)
  }
  return prepared
}

function prepareField(schema: DescMessage, field: DescField, json: JsonValue, path: Path, problems: JsonProblem[]): JsonValue {
  if (field.fieldKind === 'message') return prepareMessage(field.message, json, path, problems)
  if (field.fieldKind === 'list' && field.listKind === 'message') {
    if (!Array.isArray(json)) {
      problems.push({ path, message: `must be a list, got ${JSON.stringify(json)}` })
      return []
    }
    return json.map((each, index) => prepareMessage(field.message, each, [...path, index], problems))
  }
  if (field.fieldKind === 'map' && field.mapKind === 'message') {
    if (!isObject(json)) {
      problems.push({ path, message: `must be an object, got ${JSON.stringify(json)}` })
      return {}
    }
    const prepared: JsonObject = {}
    for (const [key, value] of Object.entries(json))
      prepared[key] = prepareMessage(field.message, value, [...path, key], problems)
    return prepared
  }
  return checkValue(schema, json, path, problems, field)
}

/** Tries the library on a value alone, so that its error belongs to one place. */
function checkValue(schema: DescMessage, json: JsonValue, path: Path, problems: JsonProblem[], field?: DescField): JsonValue {
  try {
    fromJson(schema, field === undefined ? json : { [field.jsonName]: json })
  } catch (error) {
    problems.push({ path, message: reason(error) })
  }
  return json
}

function prepareAny(json: JsonValue, path: Path, problems: JsonProblem[]): JsonValue {
  const typeUrl = isObject(json) ? json['@type'] : undefined
  if (!isObject(json) || typeof typeUrl !== 'string') {
    problems.push({ path: [...path, '@type'], message: 'is required' })
    return {}
  }
  const { '@type': _, ...fields } = json
  const schema = knownTypes.getMessage(typeName(typeUrl))
  if (schema === undefined) return { '@type': typeUrlOf(TypedStructSchema), typeUrl, value: fields }
  const prepared = prepareMessage(schema, fields, path, problems)
  return isObject(prepared) ? { '@type': typeUrlOf(schema), ...prepared } : prepared
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

/** The library's words without the field, which the path tells better. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message
    .replace(/^cannot decode field \S+ from JSON: /, '')
    .replace(/^cannot decode message google\.protobuf\.(\S+) from JSON: /, 'is not a $1: ')
    .replace(/^cannot decode \S+ \S+ from JSON: /, '')
}
