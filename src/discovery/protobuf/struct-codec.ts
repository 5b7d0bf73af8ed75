import type { MessageFields } from './field-codec.ts'
import { isFields, setOwn } from './field-codec.ts'

/** A `google.protobuf.Struct` as the JSON object that it stands for. */
export function structToJson({ fields }: Readonly<MessageFields>): MessageFields {
  const json: MessageFields = {}
  if (isFields(fields)) for (const [key, value] of Object.entries(fields)) setOwn(json, key, valueToJson(value))
  return json
}

function valueToJson(message: unknown): unknown {
  const kind = isFields(message) ? message.kind : undefined
  if (!isFields(kind)) return null
  const { case: name, value } = kind
  if (name === undefined || name === 'nullValue') return null
  if (name === 'structValue') return isFields(value) ? structToJson(value) : {}
  if (name === 'listValue') return isFields(value) && Array.isArray(value.values) ? value.values.map(valueToJson) : []
  return value
}

/** A JSON object as a `google.protobuf.Struct`. */
export function jsonToStruct(json: Readonly<MessageFields>): MessageFields {
  const fields: MessageFields = {}
  for (const [key, value] of Object.entries(json)) setOwn(fields, key, jsonToValue(value))
  return { fields }
}

function jsonToValue(json: unknown): MessageFields {
  const of = (name: string, value: unknown) => ({ kind: { case: name, value } })
  if (typeof json === 'number') return of('numberValue', json)
  if (typeof json === 'string') return of('stringValue', json)
  if (typeof json === 'boolean') return of('boolValue', json)
  if (Array.isArray(json)) return of('listValue', { values: json.map(jsonToValue) })
  return isFields(json) ? of('structValue', jsonToStruct(json)) : of('nullValue', 0)
}
