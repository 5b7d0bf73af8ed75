import type { MessageInitShape } from '@bufbuild/protobuf'
import type { StringMatcherSchema } from 'inmesh/gen/envoy/type/matcher/v3/string_pb'
import type { StringMatch } from '../model/string-match.ts'

/** Translates a match that has a value. */
export function stringMatcher(match: Exclude<StringMatch, { kind: 'present' }>): MessageInitShape<typeof StringMatcherSchema> {
  switch (match.kind) {
    case 'exact':
      return { matchPattern: { case: 'exact', value: match.value } }
    case 'prefix':
      return { matchPattern: { case: 'prefix', value: match.value } }
    case 'regex':
      return { matchPattern: { case: 'safeRegex', value: { regex: match.value } } }
  }
}
