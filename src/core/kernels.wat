;; Owns the inner loops of seal/1 (man 7 colweave-receipt), four rows at a time; seal.ts has the same loops one at a time.
;; Loops over rows: `rows` is the address of one byte a row, 0 = leave the row out; itself 0 = all rows. `count` is a
;; multiple of four. Sums are written to `out`: lane a as two u64, lane b as two u64, rows that counted as four u32.
(module
  (memory (export "memory") 1024 1024)

  ;; (x ^ x >> 16 ^ a) * MIX_1, then (x ^ x >> 15 ^ b) * MIX_2, then x ^ x >> 16
  (func $firstWord (param $x v128) (param $a v128) (param $b v128) (result v128)
    (local.set $x (i32x4.mul
      (v128.xor (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 16))) (local.get $a))
      (v128.const i32x4 0x7feb352d 0x7feb352d 0x7feb352d 0x7feb352d)))
    (local.set $x (i32x4.mul
      (v128.xor (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 15))) (local.get $b))
      (v128.const i32x4 0x846ca68b 0x846ca68b 0x846ca68b 0x846ca68b)))
    (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 16))))

  ;; (x ^ word) * MIX_1, then (x ^ x >> 15 ^ a) * MIX_2, then x ^ x >> 16
  (func $nextWord (param $x v128) (param $word v128) (param $a v128) (result v128)
    (local.set $x (i32x4.mul
      (v128.xor (local.get $x) (local.get $word))
      (v128.const i32x4 0x7feb352d 0x7feb352d 0x7feb352d 0x7feb352d)))
    (local.set $x (i32x4.mul
      (v128.xor (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 15))) (local.get $a))
      (v128.const i32x4 0x846ca68b 0x846ca68b 0x846ca68b 0x846ca68b)))
    (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 16))))

  ;; all ones for each of four rows that counts
  (func $counting (param $rows i32) (result v128)
    (if (result v128) (local.get $rows)
      (then (i32x4.ne
        (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (v128.load32_zero (local.get $rows))))
        (v128.const i32x4 0 0 0 0)))
      (else (v128.const i32x4 -1 -1 -1 -1))))

  ;; LANE_A and LANE_B: x ^ x >> 15 of the product, for the rows that count, as two sums of two
  (func $laneA (param $x v128) (param $state v128) (param $counting v128) (result v128)
    (call $pairs (i32x4.mul (v128.xor (local.get $x) (local.get $state))
      (v128.const i32x4 0xc2b2ae35 0xc2b2ae35 0xc2b2ae35 0xc2b2ae35)) (local.get $counting)))
  (func $laneB (param $x v128) (param $state v128) (param $counting v128) (result v128)
    (call $pairs (i32x4.mul (v128.xor (local.get $x) (local.get $state))
      (v128.const i32x4 0x9e3779b1 0x9e3779b1 0x9e3779b1 0x9e3779b1)) (local.get $counting)))
  (func $pairs (param $x v128) (param $counting v128) (result v128)
    (local.set $x
      (v128.and (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 15))) (local.get $counting)))
    (i64x2.add (i64x2.extend_low_i32x4_u (local.get $x)) (i64x2.extend_high_i32x4_u (local.get $x))))

  (func $store (param $out i32) (param $sumA v128) (param $sumB v128) (param $present v128)
    (v128.store (local.get $out) (local.get $sumA))
    (v128.store offset=16 (local.get $out) (local.get $sumB))
    (v128.store offset=32 (local.get $out) (local.get $present)))

  ;; values of one word each
  (func (export "terms1")
    (param $words i32) (param $a i32) (param $b i32) (param $rows i32) (param $count i32) (param $out i32)
    (local $x v128) (local $stateA v128) (local $stateB v128) (local $counting v128)
    (local $sumA v128) (local $sumB v128) (local $present v128)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $stateA (v128.load (local.get $a)))
      (local.set $stateB (v128.load (local.get $b)))
      (local.set $counting (call $counting (local.get $rows)))
      (local.set $x (call $firstWord (v128.load (local.get $words)) (local.get $stateA) (local.get $stateB)))
      (local.set $sumA
        (i64x2.add (local.get $sumA) (call $laneA (local.get $x) (local.get $stateA) (local.get $counting))))
      (local.set $sumB
        (i64x2.add (local.get $sumB) (call $laneB (local.get $x) (local.get $stateB) (local.get $counting))))
      (local.set $present (i32x4.sub (local.get $present) (local.get $counting)))
      (local.set $words (i32.add (local.get $words) (i32.const 16)))
      (local.set $a (i32.add (local.get $a) (i32.const 16)))
      (local.set $b (i32.add (local.get $b) (i32.const 16)))
      (if (local.get $rows) (then (local.set $rows (i32.add (local.get $rows) (i32.const 4)))))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next)))
    (call $store (local.get $out) (local.get $sumA) (local.get $sumB) (local.get $present)))

  ;; values of two words each, low word first
  (func (export "terms2")
    (param $words i32) (param $a i32) (param $b i32) (param $rows i32) (param $count i32) (param $out i32)
    (local $x v128) (local $left v128) (local $right v128)
    (local $stateA v128) (local $stateB v128) (local $counting v128)
    (local $sumA v128) (local $sumB v128) (local $present v128)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $stateA (v128.load (local.get $a)))
      (local.set $stateB (v128.load (local.get $b)))
      (local.set $counting (call $counting (local.get $rows)))
      (local.set $left (v128.load (local.get $words)))
      (local.set $right (v128.load offset=16 (local.get $words)))
      (local.set $x (call $firstWord
        (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27 (local.get $left) (local.get $right))
        (local.get $stateA) (local.get $stateB)))
      (local.set $x (call $nextWord (local.get $x)
        (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31 (local.get $left) (local.get $right))
        (local.get $stateA)))
      (local.set $sumA
        (i64x2.add (local.get $sumA) (call $laneA (local.get $x) (local.get $stateA) (local.get $counting))))
      (local.set $sumB
        (i64x2.add (local.get $sumB) (call $laneB (local.get $x) (local.get $stateB) (local.get $counting))))
      (local.set $present (i32x4.sub (local.get $present) (local.get $counting)))
      (local.set $words (i32.add (local.get $words) (i32.const 32)))
      (local.set $a (i32.add (local.get $a) (i32.const 16)))
      (local.set $b (i32.add (local.get $b) (i32.const 16)))
      (if (local.get $rows) (then (local.set $rows (i32.add (local.get $rows) (i32.const 4)))))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next)))
    (call $store (local.get $out) (local.get $sumA) (local.get $sumB) (local.get $present)))

  ;; list terms: (length, depth) under states salted with LIST_A and LIST_B
  (func (export "lengths")
    (param $offsets i32) (param $a i32) (param $b i32) (param $rows i32) (param $count i32) (param $out i32)
    (param $depth i32)
    (local $x v128) (local $stateA v128) (local $stateB v128) (local $counting v128)
    (local $sumA v128) (local $sumB v128) (local $present v128)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $stateA (v128.xor (v128.load (local.get $a))
        (v128.const i32x4 0x51ed270b 0x51ed270b 0x51ed270b 0x51ed270b)))
      (local.set $stateB (v128.xor (v128.load (local.get $b))
        (v128.const i32x4 0x2f6a3d95 0x2f6a3d95 0x2f6a3d95 0x2f6a3d95)))
      (local.set $counting (call $counting (local.get $rows)))
      (local.set $x (call $firstWord
        (i32x4.sub (v128.load offset=4 (local.get $offsets)) (v128.load (local.get $offsets)))
        (local.get $stateA) (local.get $stateB)))
      (local.set $x (call $nextWord (local.get $x) (i32x4.splat (local.get $depth)) (local.get $stateA)))
      (local.set $sumA
        (i64x2.add (local.get $sumA) (call $laneA (local.get $x) (local.get $stateA) (local.get $counting))))
      (local.set $sumB
        (i64x2.add (local.get $sumB) (call $laneB (local.get $x) (local.get $stateB) (local.get $counting))))
      (local.set $present (i32x4.sub (local.get $present) (local.get $counting)))
      (local.set $offsets (i32.add (local.get $offsets) (i32.const 16)))
      (local.set $a (i32.add (local.get $a) (i32.const 16)))
      (local.set $b (i32.add (local.get $b) (i32.const 16)))
      (if (local.get $rows) (then (local.set $rows (i32.add (local.get $rows) (i32.const 4)))))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next)))
    (call $store (local.get $out) (local.get $sumA) (local.get $sumB) (local.get $present)))
)
