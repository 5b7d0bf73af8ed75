import type { MessageInitShape } from '@bufbuild/protobuf'
import {
  type CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType as SanType,
} from 'inmesh/gen/envoy/extensions/transport_sockets/tls/v3/common_pb'
import type { View } from './view.ts'

type Names = Pick<
  Exclude<MessageInitShape<typeof CertificateValidationContextSchema>, { $typeName: string }>,
  'matchTypedSubjectAltNames' | 'matchSubjectAltNames'
>

/**
 * What a certificate must say who it is for, one of the names, by which a client finds it: gRPC's own clients read the list without types
 * alone (gRFC A29), pass over the other, and would then speak to anybody.
 */
export function subjectAltNames(names: readonly string[], { kind, agent }: View): Names {
  const exactly = (name: string) => ({ matchPattern: { case: 'exact' as const, value: name } })
  if (kind === 'proxyless' && agent !== 'inmesh') return { matchSubjectAltNames: names.map(exactly) }
  const typed = names.map(name => ({ sanType: name.includes('://') ? SanType.URI : SanType.DNS, matcher: exactly(name) }))
  return { matchTypedSubjectAltNames: typed }
}
