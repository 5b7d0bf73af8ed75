/**
 * Why the mesh itself ended or changed a call, in Envoy's words (`%RESPONSE_FLAGS%`, `data.accesslog.v3.ResponseFlags`).
 * The empty string means that the upstream answered and nothing was wrong.
 */
export type ResponseFlag =
  | ''
  /** No healthy upstream host in the cluster. */
  | 'UH'
  /** Upstream connection failure. */
  | 'UF'
  /** Upstream overflow: a circuit-breaker threshold was reached. */
  | 'UO'
  /** No route matched. */
  | 'NR'
  /** Upstream retry limit exceeded. */
  | 'URX'
  /** Upstream cluster not found. */
  | 'NC'
  /** Upstream request timeout. */
  | 'UT'
  /** The whole exchange lasted longer than `max_stream_duration`. */
  | 'DT'
  /** Connection terminated by the upstream. */
  | 'UC'
  /** Upstream remote reset. */
  | 'UR'
  /** Local reset. */
  | 'LR'
  /** Connection terminated by the downstream: the caller aborted. */
  | 'DC'
  /** A delay was injected. */
  | 'DI'
  /** An abort was injected. */
  | 'FI'
  /** Rate limited locally. */
  | 'RL'
  /** Denied by external authorization or RBAC. */
  | 'UAEX'
  /** The upstream broke its protocol. */
  | 'UPE'
  /** The downstream broke its protocol. */
  | 'DPE'
  /** Stream idle timeout. */
  | 'SI'
  /** No cluster config could be had from discovery in time. */
  | 'NFCF'
  /** Overload manager. */
  | 'OM'
