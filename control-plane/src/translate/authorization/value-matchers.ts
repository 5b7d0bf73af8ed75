import { SocketAddress } from 'node:net'
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { CidrRangeSchema } from 'inmesh/gen/envoy/config/core/v3/address_pb'
import type { HeaderMatcherSchema } from 'inmesh/gen/envoy/config/route/v3/route_components_pb'
import type { StringMatcherSchema } from 'inmesh/gen/envoy/type/matcher/v3/string_pb'
import type { ValueMatcherSchema } from 'inmesh/gen/envoy/type/matcher/v3/value_pb'

type StringMatcher = MessageInitShape<typeof StringMatcherSchema>
type ValueMatcher = MessageInitShape<typeof ValueMatcherSchema>

export const exactly = (value: string, ignoreCase = false): StringMatcher => ({
  matchPattern: { case: 'exact', value },
  ignoreCase,
})
export const beginningWith = (value: string, ignoreCase = false): StringMatcher => ({
  matchPattern: { case: 'prefix', value },
  ignoreCase,
})
export const endingWith = (value: string, ignoreCase = false): StringMatcher => ({
  matchPattern: { case: 'suffix', value },
  ignoreCase,
})
export const matching = (regex: string): StringMatcher => ({ matchPattern: { case: 'safeRegex', value: { regex } } })

/** Present and not empty. */
export const something = matching('.+')

/** Takes away what a regular expression means, as Go's `QuoteMeta`. */
export const quoteRegex = (text: string): string => text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')

/** A value of a policy: `*`, `*suffix`, `prefix*` or exactly. */
export function wildcardMatcher(value: string): StringMatcher {
  if (value === '*') return something
  if (value.startsWith('*')) return endingWith(value.slice(1))
  return value.endsWith('*') ? beginningWith(value.slice(0, -1)) : exactly(value)
}

/** The same for a principal, which policies write without its scheme. */
export function principalMatcher(value: string): StringMatcher {
  const scheme = 'spiffe://'
  if (value === '*') return something
  if (value.startsWith('*')) return matching(`${scheme}.*${quoteRegex(value.slice(1))}`)
  return value.endsWith('*') ? beginningWith(scheme + value.slice(0, -1)) : exactly(scheme + value)
}

/** The same for a header; `*` is presence. */
export function headerMatcher(name: string, value: string, ignoreCase = false): MessageInitShape<typeof HeaderMatcherSchema> {
  if (value === '*') return { name, headerMatchSpecifier: { case: 'presentMatch', value: true } }
  const { matchPattern } = wildcardMatcher(value)
  return { name, headerMatchSpecifier: { case: 'stringMatch', value: { ...(matchPattern && { matchPattern }), ignoreCase } } }
}

/** An address is a range of one. */
export function cidrRange(block: string): MessageInitShape<typeof CidrRangeSchema> {
  const [address = '', length] = block.split('/')
  const family = address.includes(':') ? 'ipv6' : 'ipv4'
  const longest = family === 'ipv6' ? 128 : 32
  return {
    addressPrefix: new SocketAddress({ address, family }).address,
    prefixLen: length === undefined ? longest : Number(length),
  }
}

/** Any of several; one stands for itself. */
export function anyValue(matchers: readonly ValueMatcher[]): ValueMatcher {
  const [only] = matchers
  if (only !== undefined && matchers.length === 1) return only
  return { matchPattern: { case: 'orMatch', value: { valueMatchers: [...matchers] } } }
}

export const stringValue = (matcher: StringMatcher): ValueMatcher => ({ matchPattern: { case: 'stringMatch', value: matcher } })

/** An element of a list. */
export const elementValue = (value: ValueMatcher): ValueMatcher => ({
  matchPattern: { case: 'listMatch', value: { matchPattern: { case: 'oneOf', value } } },
})
