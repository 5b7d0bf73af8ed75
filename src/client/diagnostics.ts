import { channel } from 'node:diagnostics_channel'

/**
 * What tools can subscribe to with `node:diagnostics_channel`. Publishing costs a check of `hasSubscribers` when nobody does.
 *
 * `inmesh:request:start`, `:attempt`, `:retry` and `:end` carry `{ exchange }`, an `Outcome` as far as it is known.
 * `inmesh:eject` and `inmesh:uneject` carry `{ cluster, endpoint }`; `inmesh:health` carries `{ cluster, endpoint, isHealthy, reason }`;
 * `inmesh:config` carries `{ config }`.
 */
export const channels = {
  requestStart: channel('inmesh:request:start'),
  requestAttempt: channel('inmesh:request:attempt'),
  requestRetry: channel('inmesh:request:retry'),
  requestEnd: channel('inmesh:request:end'),
  eject: channel('inmesh:eject'),
  uneject: channel('inmesh:uneject'),
  health: channel('inmesh:health'),
  config: channel('inmesh:config'),
}
