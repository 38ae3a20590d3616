-- The recovery of a state that went back in time, as in recovery.py, which has an example. apply.lua follows this file:
-- its header says what a recovery is, and what the state is that the writer knows (ARGV[7]).
--
-- Few batches meet a state that went back, and a function takes time to define. So all of them are defined by a call.

local function load_recovery()
  local recovery = {}

  local FIELDS = '^(%d+) ([%w-]+) (%d+) (%d+) (%-?(%d+))$'
  local KNOWN = '^(%S+) (%d+)$'

  -- The fields of a recovery; nothing if it is damaged.
  local function read(text)
    local since, name, goal, held, missing, digits = string.match(text, FIELDS)
    if since and math.max(#since, #goal, #held, #digits) <= 15 then return since, name, goal, held, missing end
  end

  -- When a state got its name, ms: the time is part of the name. 0 if it is not.
  local function named_ms(name)
    local text = string.match(name or '', '%-(%d+)$')
    return text and #text <= 15 and tonumber(text) or 0
  end

  -- Whether a state got its name before another one.
  local function is_older(name, other) return named_ms(name) > 0 and named_ms(name) < named_ms(other) end

  -- Whether a recovery is about a known state: it is the one that went back, or it had its name before that.
  local function covers(since, name, known)
    if not name then return false end
    if name == known or is_older(known, name) then return true end
    return named_ms(known) > 0 and named_ms(known) <= tonumber(since)
  end

  -- Whether the state is the one that the writer knows, or went back from it, and has lost batches of it.
  local function has_lost_batches(state, known_state)
    local known, known_batches = string.match(known_state, KNOWN)
    if known == state.incarnation then return tonumber(known_batches) > tonumber(state.batches) end
    local since, name, _, held = read(state.recovery)
    return known and (is_older(state.incarnation, known) or (covers(since, name, known) and held ~= '0'))
  end

  -- Whether a batch that restores a loss is still due: the account that it was computed from has not changed.
  function recovery.is_due(state, known_state, account)
    local current = read(state.recovery) and string.match(state.recovery, '^%d+ (.*)$') or ''
    return has_lost_batches(state, known_state) and account == current
  end

  -- Returns the recovery after this batch, or nil if it does not change, and whether the state needs a new name. It does
  -- if it went back and still has the name that it had before, or an older one. A state that was begun empty in place of
  -- the known one already has a name of its own.
  function recovery.after(state, known_state, replaced, restores)
    local known, known_batches = string.match(known_state, KNOWN)
    if not known then return nil, false end
    local since, name, goal, held, missing = read(state.recovery)
    -- Other writers may have brought the state past its old count by now; a batch that is sent again still proves a loss.
    local is_behind = replaced > 0 or tonumber(known_batches) > tonumber(state.batches)
    local went_back = state.incarnation == '' or (known == state.incarnation and is_behind)
      or is_older(state.incarnation, known)
    local is_covered = covers(since, name, known)
    if went_back or (replaced > 0 and known ~= state.incarnation and not is_covered) then
      held = went_back and state.batches or '0'
      missing = known_batches - held - replaced
      if restores then missing = math.min(missing, 0) - 1 end -- nothing is missing now, and the account must change
      return string.format('%s %s %s %s %.0f', now_text, known, known_batches, held, missing), went_back
    end
    local more = name == known and math.max(0, known_batches - goal) or 0
    if restores and is_covered then more, replaced = 0, math.max(missing, 0) + 1 end
    if not is_covered or (more == 0 and replaced == 0) then return nil, false end
    return string.format('%s %s %.0f %s %.0f', since, name, goal + more, held, missing + more - replaced), false
  end

  -- The new name of a state. The time in it makes the name unique, and younger than the names before, also if the clock
  -- is behind.
  function recovery.name(first_half, state, known_state)
    local at = math.max(now, named_ms(state.incarnation) + 1, named_ms(string.match(known_state, '^%S+')) + 1)
    return first_half .. '-' .. string.format('%013.0f', at)
  end
  return recovery
end
