-- The new line of each series of the batch, and what they add to the counts of batches and of overflowed updates. apply.lua
-- is before this file, and write.lua follows it.

local function add(numbers, delta)
  local index
  for word in gmatch(delta, '%S+') do
    if index then
      numbers[index] = number_text(numbers[index] + tonumber(word))
      index = nil
    else
      index = tonumber(word)
    end
  end
  if index then error('kairo: malformed delta: ' .. delta) end
end

-- Sets the value of a delta, unless the stored one is newer. The age leaves out how long the batch was on its way, and
-- an earlier batch of the same writer may have taken longer. So a setting counts as no older than those before it.
local function set_newest(numbers, delta, is_number)
  local value, age, is_new = match(delta, '^(%S+) (%S+) ([01])$')
  local set_at = 0
  if age ~= '-1' then set_at = math.max(now - batch_age_ms - tonumber(age), is_new == '1' and newest_set_at or 0) end
  batch_newest_set_at = math.max(batch_newest_set_at, set_at)
  local stored_at = tonumber(numbers[2])
  if set_at >= stored_at or stored_at > now then -- a stored time in the future is damaged
    numbers[1], numbers[2] = is_number and number_text(tonumber(value)) or value, number_text(set_at)
  end
end

local function add_native(numbers, delta)
  local words = {}
  for word in gmatch(delta, '%S+') do words[#words + 1] = word end
  if #words ~= 8 then error('kairo: malformed delta: ' .. delta) end
  local max_buckets = tonumber(table.remove(words, 1))
  local counts = native.read(words)
  if numbers[6] ~= '0' then -- '0' is not a valid side: the line is new
    local stored_counts = native.read(numbers)
    native.add(stored_counts, counts)
    counts = stored_counts
  end
  native.limit(counts, max_buckets)
  for place, word in ipairs(native.write(counts, number_text)) do numbers[place] = word end
end

-- The line after an update, and the age of the stored one; no age if it starts again from zero.
local function updated(line, delta, shape)
  local numbers = unpack_line(line, shape, life_ms)
  if shape == 'ai' or shape == 'xi' then
    set_newest(numbers, delta, shape == 'ai')
  elseif shape == NATIVE_SHAPE then
    add_native(numbers, delta)
  else
    add(numbers, delta)
  end
  local age = numbers.touched and now - numbers.touched
  numbers[#numbers + 1] = numbers.created
  numbers[#numbers + 1] = now_text
  return table.concat(numbers, ' '), age
end

-- Removes the stored series that start again from zero or are deleted. This comes first: deltas that overflow in this
-- batch must be added to the new overflow series, and not to the removed one.
local function remove(family)
  for i = family.first, family.last, 2 do
    local field = ARGV[i]
    if byte(ARGV[i + 1]) == REMOVES and family.stored[field] then
      family.stored[field] = nil
      family.removed = family.removed or {}
      family.removed[#family.removed + 1] = field
    end
  end
end

-- How many new series a family has room for. Its overflow series does not count; if its name is not known, there may
-- be room for one more.
local function room_of(family)
  local length = redis.pcall('HLEN', family.key)
  if type(length) == 'table' then
    family.failure = length
    error('kairo: the number of series is not known')
  end
  if family.removed then length = length - #family.removed end
  if family.has_overflow then length = length - 1 end
  return max_series - length
end

local function compute(family)
  remove(family)
  family.has_overflow = family.overflow and family.stored[family.overflow]
  local shape, bounds, room = family.shape, nil, nil
  if shape == NATIVE_SHAPE and not native then load_native() end
  if shape ~= 'g' then
    bounds = tonumber(match(shape, '^a(%d+)$'))
    if bounds then shape = 'a' .. rep('w', bounds) end
  end
  local lines, words = family.stored, family.words
  local fast = bounds and histogram_line or shape == 'g' and counter_line
  for i = family.first, family.last, 2 do
    local field, delta = ARGV[i], ARGV[i + 1]
    local line, text, age = lines[field], nil, nil
    if line and fast then text, age = fast(line, delta, life_ms, now, now_text, bounds) end
    if not text and delta ~= 'D' then
      if not line and field ~= family.overflow then
        room = room or room_of(family)
        if room > 0 then
          room = room - 1
        elseif not family.overflow then
          family.is_full = true
          return
        else
          field = family.overflow
          line = lines[field]
          -- What is restored was counted before; it may stand in another series now.
          if not restores then family.overflowed = family.overflowed + 1 end
        end
      end
      text, age = updated(line, match(delta, '^D (.*)$') or delta, shape)
    end
    if text then
      lines[field] = text
      words[#words + 1], words[#words + 2] = field, text
      if not age or age < 0 or age > span_age_ms then family.is_due = true end
    end
  end
end

local full, is_due, is_own_announced = { 'full' }, #families == 0, false
for position, family in ipairs(families) do
  if not pcall(compute, family) then
    if family.failure then return family.failure end
    refused[#refused + 1] = position
  elseif family.is_full then
    full[#full + 1] = position
  end
  is_due = is_due or family.is_due or family.metadata
  is_own_announced = is_own_announced or family.metadata and family.key == BATCHES
end
if #refused > 1 then return refused end
if #full > 1 then return full end
-- No batch has updates of the family that counts batches, so its entry is looked at now and then. It is announced again
-- together with any other.
local own_entry = is_due and stored[#index_fields]
if own_entry and not is_own_announced and not is_intact(own_entry, index_fields[#index_fields]) then
  return unannounced
end

-- A batch may itself count updates that found no room in its instance; those are counted in the same lines.
local overflowed, overflowed_words, is_separate = {}, {}, overflowed_key
for _, family in ipairs(families) do
  if family.key == overflowed_key then overflowed, overflowed_words, is_separate = family.stored, family.words, false end
end
local answer = { 'applied', '' }
for position, family in ipairs(families) do
  local field = family.overflow_count
  if family.overflowed > 0 and field ~= '' then
    answer[#answer + 1] = position
    local line = overflowed[field] or redis.pcall('HGET', overflowed_key, field)
    if type(line) ~= 'table' then -- else the key has another type, and this count is lost
      overflowed[field] = updated(line, '1 ' .. family.overflowed, 'g')
      overflowed_words[#overflowed_words + 1], overflowed_words[#overflowed_words + 2] = field, overflowed[field]
    end
  end
end

-- The line of applied batches. What it lacks of the batches of the state stays the same, as long as the state has its name
-- and its recovery: every batch is counted in both. So the line is not read each time; the writer's record knows what it
-- lacks. It is read if the line might have expired: then all lines of this batch have, too.
local function counted_as(recovery_text) return state.incarnation .. ' ' .. recovery_text end

local batches = state.batches + 1
local applied_line
for _, family in ipairs(families) do
  if family.key == BATCHES then applied_line = family.stored[APPLIED] end
end
if not is_record or is_due or applied_line or told_state ~= counted_as(state.recovery) then
  applied_line = applied_line or redis.pcall('HGET', BATCHES, APPLIED)
  local is_hash = type(applied_line) ~= 'table'
  if not is_hash and not is_foreign(applied_line) then return applied_line end
  local words = unpack_line(is_hash and applied_line, 'g', life_ms)
  created, uncounted = words.created, format('%.0f', state.batches - (fitted('w', words[1]) or 0))
end

local index, replaces_name = {}, false
if restores or replaced > 0 or (known_name and (known_name ~= state.incarnation
  or tonumber(known_batches) > tonumber(state.batches) or find(state.recovery, known_name, 1, true))) then
  recovery = recovery or load_recovery()
  local account
  account, replaces_name = recovery.after(state, known_state, replaced, restores)
  if account then
    index[1], index[2] = 'recovery', account
    state.recovery = account
  end
end
