import { isIP } from 'node:net'
import type { Value } from './value.ts'

const label = /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/
const wildcardLabel = /^(\*|(\*|\*-)?[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)$/
const labelKey = /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/
const headerName = /^[!#$%&'*+\-.^_`|~A-Za-z0-9]+$/

/** RFC 1123 label. */
export const isLabel = (text: string): boolean => text.length <= 63 && label.test(text)

/** Whether `text` is an IPv4 or IPv6 literal. */
export const isAddress = (text: string): boolean => isIP(text) !== 0

/** RFC 9110 field name. */
export const isHeaderName = (text: string): boolean => headerName.test(text)

/** What is wrong with a domain name, or `undefined`. A trailing dot is fine. */
export function domainFault(name: string): string | undefined {
  if (name === '') return 'must not be empty'
  if (name.length > 255) return 'is longer than 255 characters'
  const labels = name.split('.')
  if (/^[-+]?\d+$/.test(labels.at(-1) ?? '')) return `${JSON.stringify(name)} ends in a number, which no host name does`
  if (labels.length > 1 && labels.at(-1) === '') labels.pop()
  const bad = labels.find(each => !isLabel(each))
  return bad === undefined ? undefined : `${JSON.stringify(name)} is not a host name: label ${JSON.stringify(bad)}`
}

/** The same for a name whose first label may be `*` or begin with one. */
export function wildcardDomainFault(name: string): string | undefined {
  const [first = '', ...rest] = name.split('.')
  if (name === '') return 'must not be empty'
  if (name.length > 255) return 'is longer than 255 characters'
  if (!wildcardLabel.test(first) || first.length > 63)
    return `${JSON.stringify(name)} is not a host name: label ${JSON.stringify(first)}`
  const parent = rest.join('.')
  // A trailing dot is fine here too.
  return parent === '' && rest.length < 2 ? undefined : domainFault(parent)
}

/** A host name, which may begin with a wildcard label. In lower case, as hosts are compared. */
export function readHost(value: Value): string | undefined {
  const name = value.required().asString()
  if (name === undefined) return undefined
  const fault = wildcardDomainFault(name)
  if (fault === undefined) return name.toLowerCase()
  value.error(fault)
  return undefined
}

/** A map of labels. */
export function readLabels(value: Value): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {}
  for (const [key, item] of value.entries()) {
    const text = item.asString() ?? ''
    if (!labelKey.test(key) || (key.split('/').at(-1) ?? '').length > 63) item.error('is not a label key')
    else if (!labelValue.test(text) || text.length > 63) item.error(`is not a label value: ${JSON.stringify(text)}`)
    labels[key] = text
  }
  return labels
}

/** A port, 1 to 65535. */
export const readPort = (value: Value): number | undefined => value.asInteger(1, 65_535)

/** The name of a subset: an RFC 1123 label. */
export function readLabelName(value: Value): string | undefined {
  const name = value.asString()
  if (name !== undefined && !isLabel(name)) value.error(`is not a name of letters, digits and hyphens: ${JSON.stringify(name)}`)
  return name
}
