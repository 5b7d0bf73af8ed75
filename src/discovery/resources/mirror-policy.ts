import type { MirrorPolicy } from '../../policies/mirror.ts'
import type { RouteAction_RequestMirrorPolicy } from '../gen/envoy/config/route/v3/route_components_pb.ts'
import { decodeRuntimeFraction } from './percent.ts'
import type { Problems } from './problems.ts'

/** Decodes `RouteAction.RequestMirrorPolicy`. Without a fraction everything is mirrored. */
export function decodeMirrorPolicy(message: RouteAction_RequestMirrorPolicy, problems: Problems): MirrorPolicy {
  if (message.clusterHeader !== '') problems.addAt('cluster_header', 'is not supported')
  else if (message.cluster === '') problems.addAt('cluster', 'is required')
  return {
    cluster: message.cluster,
    fraction:
      message.runtimeFraction === undefined
        ? { numerator: 100, denominator: 100 }
        : decodeRuntimeFraction(message.runtimeFraction, problems.at('runtime_fraction')),
    disableHostSuffix: message.disableShadowHostSuffixAppend,
  }
}

/** Decodes a list of mirror policies. */
export function decodeMirrorPolicies(
  messages: readonly RouteAction_RequestMirrorPolicy[],
  problems: Problems,
): readonly MirrorPolicy[] {
  return messages.map((message, index) => decodeMirrorPolicy(message, problems.at('request_mirror_policies', index)))
}
