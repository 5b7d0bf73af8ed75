import type { ObjectMeta } from '../model/object-meta.ts'
import { isLabel, readLabels } from './names.ts'
import type { Value } from './value.ts'

/** Namespace of an object that names none. */
export const defaultNamespace = 'default'

/** Reads `metadata`. What else it may hold is Kubernetes' business. */
export function readMeta(kind: string, value: Value, locate: ObjectMeta['locate']): ObjectMeta {
  value.required()
  const nameField = value.field('name')
  const name = nameField.required().asString() ?? ''
  if (!nameField.isAbsent && !/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name))
    nameField.error(`must be lower-case letters, digits, hyphens and dots: ${JSON.stringify(name)}`)
  const namespaceField = value.field('namespace')
  const namespace = namespaceField.asString() || defaultNamespace
  if (!isLabel(namespace)) namespaceField.error(`is not a namespace: ${JSON.stringify(namespace)}`)
  const created = value.field('creationTimestamp')
  const createdAtMs = created.isAbsent ? Number.POSITIVE_INFINITY : Date.parse(created.asString() ?? '')
  if (Number.isNaN(createdAtMs)) created.error('is not a time such as 2026-01-31T12:00:00Z')
  return { kind, name, namespace, labels: readLabels(value.field('labels')), createdAtMs, locate }
}
